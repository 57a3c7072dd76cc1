// What the back office does better with JavaScript; everything works without.

// A button that does something once cannot be pressed twice.
document.addEventListener("submit", (event) => {
  const button = event.target.querySelector("[data-once]");
  if (button) setTimeout(() => { button.disabled = true; });
});

// Whoever comes back to a page finds its buttons ready again.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("[data-once]")) button.disabled = false;
});

// One box ticks all of its form.
document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-tick-all]")) return;
  for (const box of target.form.querySelectorAll('[type="checkbox"]')) box.checked = target.checked;
});

// What was done is said once: a reload does not say it again.
const here = new URL(location.href);
if (here.searchParams.has("done")) {
  here.searchParams.delete("done");
  history.replaceState(history.state, "", here);
}

document.querySelector("[data-errors]")?.focus();
