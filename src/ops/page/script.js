
"use strict";
// The page is whole without this. It takes what is new from the server now and then and leaves alone whatever is as it was: what
// is opened, selected, focused or scrolled stays so. The search field is outside of it.
(() => {
  const EVERY_MS = 5000;
  const main = document.getElementById("main");
  const pulse = document.getElementById("pulse");

  const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") : null);
  const isLike = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other) && one.id === other.id;

  const becomes = (old, fresh) => {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.isEqualNode(fresh)) return;
    for (const { name } of [...old.attributes]) {
      // Whoever reads has opened or closed it.
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const left = [...old.childNodes];
    let last = null;
    for (const child of [...fresh.childNodes]) {
      const at = left.findIndex((one) => isLike(one, child));
      const next = last ? last.nextSibling : old.firstChild;
      let node = child;
      if (at >= 0) {
        [node] = left.splice(at, 1);
        becomes(node, child);
      }
      if (node !== next) old.insertBefore(node, next);
      last = node;
    }
    for (const node of left) if (!(node.nodeType === 1 && node.hasAttribute("data-own"))) node.remove();
  };

  const copy = async (button, pre) => {
    let done = false;
    try {
      await navigator.clipboard.writeText(pre.textContent);
      done = true;
    } catch {
      // Without TLS there is no clipboard: the text is selected, and a key copies it.
      getSelection().selectAllChildren(pre);
      try { done = document.execCommand("copy"); } catch { done = false; }
    }
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };

  const addButtons = () => {
    for (const details of document.querySelectorAll("details.copy")) {
      if (details.querySelector("button")) continue;
      const pre = details.querySelector("pre");
      const bar = document.createElement("div");
      bar.className = "bar";
      bar.setAttribute("data-own", "");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", () => copy(button, pre));
      bar.append(button);
      details.append(bar);
    }
  };

  const say = (text, isLost) => {
    pulse.hidden = false;
    if (pulse.textContent !== text) pulse.textContent = text;
    pulse.classList.toggle("lost", isLost);
  };

  let last = new Date();
  const refresh = async () => {
    // Nodes that are selected stay where they are.
    const selection = getSelection();
    const isSelecting = !selection.isCollapsed && main.contains(selection.anchorNode);
    if (document.hidden || isSelecting) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(EVERY_MS * 2) });
      if (answer.status === 404) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = fresh.getElementById("main");
      if (!content) throw new Error("no page");
      const icon = fresh.querySelector("link[rel=icon]");
      if (icon) document.querySelector("link[rel=icon]").href = icon.href;
      document.title = fresh.title;
      becomes(main, content);
      addButtons();
      last = new Date();
      say("Refreshes by itself", false);
    } catch {
      say(`The server does not answer; this is as of ${last.toLocaleTimeString()}`, true);
    }
  };

  addButtons();
  if (document.body.hasAttribute("data-live")) {
    say("Refreshes by itself", false);
    const again = async () => {
      await refresh();
      setTimeout(again, EVERY_MS);
    };
    setTimeout(again, EVERY_MS);
    document.addEventListener("visibilitychange", refresh);
  }
})();
