"use strict";
(() => {
  const format = new Intl.DateTimeFormat(document.body.dataset.locale, {dateStyle: "medium", timeStyle: "short"});
  const localise = (root) => root.querySelectorAll("time[data-moment]").forEach((time) => {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  });
  const parts = (root) => [...root.querySelectorAll("[data-part]")];
  // What the server sent last, before times were made local: only what really changed is replaced.
  const sent = new Map(parts(document).map((part) => [part.id, part.outerHTML]));
  localise(document);

  const replace = (next) => {
    const here = document.getElementById(next.id);
    if (!here || sent.get(next.id) === next.outerHTML) return;
    sent.set(next.id, next.outerHTML);
    const open = [...here.querySelectorAll("details[open]")].map((details) => details.id);
    const focus = here.contains(document.activeElement) ? document.activeElement.id : "";
    localise(next);
    here.replaceWith(document.adoptNode(next));
    open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    if (focus) document.getElementById(focus)?.focus({preventScroll: true});
    if (next.id === "status") document.getElementById("news").textContent = next.querySelector(".waiting").textContent;
  };

  const every = Number(document.body.dataset.refresh) * 1000;
  let delay = every;
  let timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(refresh, delay); };
  async function refresh() {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, {headers: {Accept: "text/html"}, cache: "no-store"});
      if (!answer.ok) throw new Error(String(answer.status));
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (next.body.dataset.locale === undefined) throw new Error("not an order's page");
      document.title = next.title;
      parts(next).forEach(replace);
      if (next.body.dataset.refresh === undefined) {
        document.removeEventListener("visibilitychange", refresh);
        return;
      }
      delay = every;
    } catch {
      delay = Math.min(delay * 2, 300000);
    }
    later();
  }
  if (every) {
    document.addEventListener("visibilitychange", refresh);
    later();
  }
})();
