// Lets the shop's page and the field in its frame talk: never about the number of the card.

"use strict";

const { origin, state, brand, last4 } = document.body.dataset;
const form = document.querySelector("form");
const number = document.querySelector("#number");

const tell = (message) => window.parent.postMessage(message, origin);
const tellState = () => tell({ type: "card", state, ...(last4 && { brand, last4 }) });
const tellHeight = () => {
  const { height } = document.querySelector("main").getBoundingClientRect();
  tell({ type: "height", height: Math.ceil(height) });
};

window.addEventListener("message", ({ data, origin: sender, source }) => {
  if (sender !== origin || source !== window.parent) return;
  if (data?.type === "attach") {
    form?.setAttribute("data-attached", "");
    tellState();
    tellHeight();
  } else if (data?.type === "submit") {
    form ? form.requestSubmit() : tellState();
  }
});

if (window.parent !== window) {
  new ResizeObserver(tellHeight).observe(document.querySelector("main"));
  tellState();
}

// With a wrong card, begin where the first thing is wrong.
document.querySelector("[aria-invalid]")?.focus();

form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

const grouped = (digits) =>
  /^3[47]/.test(digits)
    ? [digits.slice(0, 4), digits.slice(4, 10), digits.slice(10)].filter(Boolean).join(" ")
    : digits.replace(/(\d{4})(?=\d)/g, "$1 ");

// Writes a field's digits in groups, and leaves the cursor at the end, or behind its digit.
const write = (input, pattern) => {
  const written = pattern(input.value.replace(/\D/g, ""));
  if (written === input.value) return;
  const before = input.value.slice(0, input.selectionStart);
  const digits = before.replace(/\D/g, "").length;
  const behind = new RegExp(`^(\\D*\\d){${digits}}`).exec(written)?.[0].length;
  const place = before === input.value ? written.length : (behind ?? written.length);
  input.value = written;
  input.setSelectionRange(place, place);
};

const showBrand = () => {
  const mark = document.querySelector(".brand");
  const digits = number.value.replace(/\D/g, "");
  const known = JSON.parse(mark.dataset.brands).find(([begins]) =>
    new RegExp(`^(${begins})`).test(digits),
  );
  mark.textContent = known?.[1] ?? "";
};

if (form) {
  const expiry = document.querySelector("#expiry");
  number.addEventListener("input", () => {
    write(number, (digits) => grouped(digits.slice(0, 19)));
    showBrand();
  });
  expiry.addEventListener("input", ({ inputType }) => {
    if (inputType?.startsWith("delete")) return;
    write(expiry, (digits) => {
      const month = /^[2-9]/.test(digits) ? `0${digits}` : digits;
      return month.length < 2 ? month : `${month.slice(0, 2)} / ${month.slice(2, 6)}`;
    });
  });
  showBrand();
}
