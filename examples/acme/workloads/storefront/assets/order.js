// Keeps the status of an order up to date. Without scripts, the page refreshes itself.
const box = document.querySelector("[data-status-url]");
let polls = 0;
async function poll() {
  if (!box || box.querySelector("[data-final]")) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(box.dataset.statusUrl, { cache: "no-store", redirect: "error" });
      if (answer.ok) {
        const text = await answer.text();
        if (text.trim() !== box.innerHTML.trim()) box.innerHTML = text;
      }
    } catch (e) {
      // The network is away for a moment; the next poll tells.
    }
  }
  setTimeout(poll, ++polls < 60 ? 1000 : 5000);
}
setTimeout(poll, 700);
