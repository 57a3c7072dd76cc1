// What the storefront does that htmx does not. Without any of it the shop works, too.
"use strict";

// The search field: a combobox whose list is moved through by arrow keys (WAI-ARIA APG).

const field = document.querySelector(".masthead #q");
const suggestions = document.querySelector("#suggestions");

if (field && suggestions) {
  const options = () => [...suggestions.querySelectorAll("[role=option]")];
  const active = () => suggestions.querySelector("[aria-selected=true]");
  const choose = (option) => {
    active()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    if (option) field.setAttribute("aria-activedescendant", option.id);
    else field.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  };
  const settle = () => {
    choose(null);
    field.setAttribute("aria-expanded", String(options().length > 0));
  };
  const close = () => {
    suggestions.replaceChildren();
    settle();
  };
  const move = (step) => {
    const all = options();
    // Beyond either end is the field itself, and then the other end.
    const places = [null, ...all];
    choose(places.at((places.indexOf(active()) + step) % places.length));
  };

  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", "suggested");
  settle();
  suggestions.addEventListener("htmx:afterSwap", settle);
  field.form.addEventListener("focusout", ({ relatedTarget }) => {
    if (!field.form.contains(relatedTarget)) close();
  });
  field.addEventListener("keydown", (event) => {
    const open = options().length > 0;
    if (event.key === "ArrowDown" && !open) htmx.trigger(field, "reopen");
    else if (event.key === "ArrowDown" && open) move(1);
    else if (event.key === "ArrowUp" && open) move(-1);
    else if (event.key === "Enter" && active()) active().click();
    else if (event.key === "Escape" && open) close();
    else return;
    event.preventDefault();
  });
}

// Lists: addresses say only what was chosen, and the focus goes on with what was loaded.

document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get") return;
  for (const [name, said] of [...detail.formData]) {
    if (said === "") detail.formData.delete(name);
  }
});

document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  if (target.id !== "cards") return;
  const shown = target.children.length;
  target.addEventListener(
    "htmx:afterSettle",
    () => target.children[shown]?.querySelector("a").focus({ preventScroll: true }),
    { once: true },
  );
});

document.addEventListener("submit", ({ target }) => {
  if (target.id === "facets") document.querySelector("#filters:popover-open")?.hidePopover();
});

// The cart: a drawer over any page, the number beside its link, and what is said of a change.

const drawer = document.querySelector("#drawer");
const cartSaid = document.querySelector("#cart-said");

const showUnits = () => {
  const units = document.cookie.match(/(?:^|; )banyan-cart-count=(\d+)/)?.[1] ?? "";
  for (const one of document.querySelectorAll("[data-cart-count]")) {
    one.textContent = units === "0" ? "" : units;
  }
};

document.addEventListener("htmx:afterSettle", ({ detail: { target } }) => {
  const there = document.querySelector("#cart, #order");
  if (cartSaid && there?.dataset.said) cartSaid.textContent = there.dataset.said;
  showUnits();
  if (target.id === "drawer-cart" && !drawer.open) drawer.showModal();
  // What had the focus may be gone with its line; the next key must not begin at the top.
  if (there?.id === "cart" && document.activeElement === document.body) there.focus();
});

// What the shop could not do for the drawer, its own page explains.
document.addEventListener("htmx:responseError", ({ detail: { elt } }) => {
  if (elt.matches("form[hx-post]")) elt.submit();
});

document.addEventListener("click", (event) => {
  if (!drawer?.open) return;
  const closer = event.target.closest("[data-close]");
  // Inside the drawer, to continue shopping means to stay where one is.
  if (closer) event.preventDefault();
  if (closer || event.target === drawer) drawer.close();
});

window.addEventListener("pageshow", showUnits);

// The checkout: its summary is open where there is room for it.

const wide = window.matchMedia("(min-width: 60rem)");
for (const summary of document.querySelectorAll("[data-open-wide]")) {
  summary.open = wide.matches;
  wide.addEventListener("change", () => { summary.open = wide.matches; });
}

// The card is in a frame of the bank's: ordering first asks the bank that was chosen to take it,
// then goes on.

const PATIENCE_MS = 6000;

const attend = (form, frame) => {
  const { origin, method } = frame.dataset;
  const said = (text) => {
    const place = document.querySelector("#press-said");
    if (place) place.textContent = text;
  };
  let state = "unknown";
  let pressed = null;
  let patience = 0;
  const tell = (type) => frame.contentWindow.postMessage({ type }, origin);
  const goOn = () => {
    clearTimeout(patience);
    const button = pressed;
    pressed = null;
    state = "passed";
    form.requestSubmit(button);
  };

  frame.addEventListener("load", () => tell("attach"));
  window.addEventListener("load", () => tell("attach"));
  window.addEventListener("message", ({ data, origin: sender, source }) => {
    if (sender !== origin || source !== frame.contentWindow) return;
    if (data?.type === "height" && data.height > 0) {
      frame.style.blockSize = `${Math.min(data.height, 1200)}px`;
    }
    if (data?.type !== "card") return;
    state = data.state;
    if (state === "saved") said("");
    if (!pressed) return;
    if (state === "saved" || state === "used") goOn();
    if (state === "invalid") {
      clearTimeout(patience);
      pressed = null;
      said(form.dataset.refused);
      frame.focus();
    }
  });
  form.addEventListener("submit", (event) => {
    const isOrder = event.submitter?.value === "order";
    const isChosen = new FormData(form).get("payment") === method;
    if (!isOrder || !isChosen || ["saved", "used", "passed"].includes(state)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    pressed = event.submitter;
    tell("submit");
    // Whatever keeps the bank silent, the shop answers.
    clearTimeout(patience);
    patience = setTimeout(goOn, PATIENCE_MS);
  });
};

for (const form of document.querySelectorAll("form[data-once]")) {
  for (const frame of form.querySelectorAll("iframe[data-origin]")) attend(form, frame);
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-disabled", "true");
  });
}

// Who comes back by the browser's arrow may press again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-disabled]")) {
      button.removeAttribute("aria-disabled");
    }
  }
});
