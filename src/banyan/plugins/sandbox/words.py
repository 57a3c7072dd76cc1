"""What the bank says to shoppers, in the languages that it speaks."""

from banyan.kernel.language import negotiate
from banyan.plugins.sandbox.values import Status, Value


class Words(Value, frozen=True, kw_only=True):
    """Everything that the bank's pages say in one language."""

    language: str
    bank: str
    trial: str
    card: str
    card_fields: str
    error: str
    number: str
    expiry: str
    expiry_hint: str
    cvc: str
    cvc_hint: str
    name: str
    optional: str
    use_card: str
    to_the_bank_only: str
    saved: str
    expires: str
    other_card: str
    used: str
    used_advice: str
    test_cards: str
    test_outcomes: dict[str, str]
    test_rest: str
    flaws: dict[str, str]
    confirm_title: str
    confirm_advice: str
    amount: str
    reference: str
    confirm: str
    refuse: str
    nothing_title: str
    statuses: dict[Status, str]
    back: str
    close: str
    no_money: str


ENGLISH = Words(
    language="en",
    bank="Sandbox Bank",
    trial="Test",
    card="Card",
    card_fields="Card details",
    error="Error:",
    number="Card number",
    expiry="Expiry date",
    expiry_hint="MM / YY",
    cvc="Security code",
    cvc_hint="CVC",
    name="Name on card",
    optional="optional",
    use_card="Use this card",
    to_the_bank_only="Goes straight to Sandbox Bank. The shop never sees the number.",
    saved="This card is used when you place your order.",
    expires="Expires",
    other_card="Use another card",
    used="This card has been used already.",
    used_advice="To pay once more, open the shop’s page again and enter a card there.",
    test_cards="Test cards",
    test_outcomes={
        "ok": "is approved",
        "declined": "is declined",
        "insufficient": "has insufficient funds",
        "challenge": "asks for confirmation",
    },
    test_rest="With any date to come and any security code. No money moves.",
    flaws={
        "number_missing": "Enter the card number.",
        "number_wrong": "This is not a valid card number. Check each digit.",
        "expiry_missing": "Enter the expiry date.",
        "expiry_wrong": "Enter month and year, such as 04/29.",
        "expired": "This card has expired.",
        "cvc_missing": "Enter the security code.",
        "cvc_three": "Enter the 3 digits from the back of the card.",
        "cvc_four": "Enter the 4 digits from the front of the card.",
    },
    confirm_title="Confirm your payment",
    confirm_advice="The shop asks for this payment. Confirm it only if it is yours.",
    amount="Amount",
    reference="Reference",
    confirm="Confirm",
    refuse="Refuse",
    nothing_title="Nothing to confirm",
    statuses={
        "requires_action": "This payment waits for you.",
        "authorized": "This payment is authorized.",
        "captured": "This payment is made.",
        "voided": "This payment is canceled.",
        "declined": "This payment is declined.",
    },
    back="Back to the shop",
    close="You can close this page.",
    no_money="A bank for tests. No money moves here.",
)

GERMAN = Words(
    language="de",
    bank="Sandbox Bank",
    trial="Test",
    card="Karte",
    card_fields="Kartendaten",
    error="Fehler:",
    number="Kartennummer",
    expiry="Gültig bis",
    expiry_hint="MM / JJ",
    cvc="Prüfziffer",
    cvc_hint="CVC",
    name="Name auf der Karte",
    optional="freiwillig",
    use_card="Diese Karte verwenden",
    to_the_bank_only="Geht direkt an die Sandbox Bank. Der Shop sieht die Nummer nie.",
    saved="Mit dieser Karte wird Ihre Bestellung bezahlt.",
    expires="Gültig bis",
    other_card="Andere Karte verwenden",
    used="Mit dieser Karte wurde schon bezahlt.",
    used_advice="Um erneut zu zahlen, öffnen Sie die Seite des Shops neu und geben eine Karte ein.",
    test_cards="Testkarten",
    test_outcomes={
        "ok": "wird angenommen",
        "declined": "wird abgelehnt",
        "insufficient": "ist nicht gedeckt",
        "challenge": "verlangt eine Bestätigung",
    },
    test_rest="Mit jedem künftigen Datum und jeder Prüfziffer. Es fließt kein Geld.",
    flaws={
        "number_missing": "Geben Sie die Kartennummer ein.",
        "number_wrong": "Das ist keine gültige Kartennummer. Prüfen Sie jede Ziffer.",
        "expiry_missing": "Geben Sie das Ablaufdatum ein.",
        "expiry_wrong": "Geben Sie Monat und Jahr ein, etwa 04/29.",
        "expired": "Diese Karte ist abgelaufen.",
        "cvc_missing": "Geben Sie die Prüfziffer ein.",
        "cvc_three": "Geben Sie die 3 Ziffern von der Rückseite der Karte ein.",
        "cvc_four": "Geben Sie die 4 Ziffern von der Vorderseite der Karte ein.",
    },
    confirm_title="Zahlung bestätigen",
    confirm_advice="Der Shop bittet um diese Zahlung. Bestätigen Sie nur, wenn es Ihre ist.",
    amount="Betrag",
    reference="Referenz",
    confirm="Bestätigen",
    refuse="Ablehnen",
    nothing_title="Nichts zu bestätigen",
    statuses={
        "requires_action": "Diese Zahlung wartet auf Sie.",
        "authorized": "Diese Zahlung ist genehmigt.",
        "captured": "Diese Zahlung ist ausgeführt.",
        "voided": "Diese Zahlung ist storniert.",
        "declined": "Diese Zahlung ist abgelehnt.",
    },
    back="Zurück zum Shop",
    close="Sie können diese Seite schließen.",
    no_money="Eine Bank zum Testen. Hier fließt kein Geld.",
)

LANGUAGES = {words.language: words for words in (ENGLISH, GERMAN)}


def spoken_to(*wishes: str) -> Words:
    """Find the words for somebody who tells a language, or an Accept-Language, the best first."""
    wished = ",".join(wish for wish in wishes if wish)
    return LANGUAGES[negotiate(wished, tuple(LANGUAGES), ENGLISH.language)]
