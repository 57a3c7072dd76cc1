// The rules of fulfillment: what a parcel costs. No I/O, no clock, no chance.

const COMPARISON = /^(<=?|>=?) *(\d+(?:\.\d+)?)$/;

/** An expected no: a problem that the contract declares, told with its fields. */
export class Problem extends Error {
  constructor(kind, status, title, fields) {
    super(title);
    Object.assign(this, { kind, status, fields });
  }
}

/** Shipping methods and zones, in the shapes of the contract; a file holds them. */
export class Tariffs {
  constructor({ methods, zones }) {
    this.methods = [...methods].sort(by((method) => method.position ?? 0));
    this.zones = zones;
    for (const row of methods.flatMap((method) => method.rates)) {
      holds(row.weight, 0);
      holds(row.total, 0);
    }
  }

  /** What each method costs for a parcel to a destination, cheapest first. */
  rates({ market, country, total, weight_grams = 0, region = "", locale = null }) {
    const places = [country, region.startsWith(`${country}-`) ? region : `${country}-${region}`];
    const reached = (zone) => zone.places.some((place) => places.includes(place));
    const zones = this.zones.filter(reached).map((zone) => zone.code);
    const worth = total.amount / 10 ** digits(total.currency);
    const takes = (row) =>
      (!row.zone || zones.includes(row.zone)) &&
      holds(row.weight, weight_grams) &&
      holds(row.total, worth);
    return this.methods
      .filter((method) => method.market === market && method.active !== false)
      .map((method) => ({ method, row: method.rates.find(takes) }))
      .filter(({ row }) => row)
      .map(({ method, row }) => ({
        code: method.code,
        title: said(method.title, locale),
        price: { amount: row.amount ?? 0, currency: total.currency },
      }))
      .sort(by((rate) => rate.price.amount));
  }

  /** One shipping method. */
  method(code) {
    const found = this.methods.find((method) => method.code === code);
    if (found) return found;
    const title = "There is no such shipping method.";
    throw new Problem("fulfillment.unknown_method", 404, title, { method: code });
  }
}

/** Tell whether a condition such as `< 2000` holds; none always does. */
function holds(condition, value) {
  if (!condition) return true;
  const told = COMPARISON.exec(condition);
  if (!told) throw new Error(`${condition} is not a comparison such as "< 2000".`);
  const [, sign, limit] = told;
  if (sign.endsWith("=") && value === Number(limit)) return true;
  return sign.startsWith("<") ? value < limit : value > limit;
}

/** How many digits of an amount in minor units stand behind the point. */
function digits(currency) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.resolvedOptions().maximumFractionDigits;
}

/** The text in a language, or else the English one, or else the first by language. */
function said(texts, locale) {
  const languages = [locale, locale?.split("-")[0], "en", ...Object.keys(texts).sort()];
  return texts[languages.find((language) => language in texts)];
}

function by(number) {
  return (one, other) => number(one) - number(other);
}
