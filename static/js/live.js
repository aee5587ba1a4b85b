// Poked, then pulls: a frame says which topics moved, the regions on the page fetch themselves again.
"use strict";
(() => {
  const silence_ms = 12000, throttle_ms = 500, retry_ms = 5000, poll_ms = 5000, delay_ms_max = 30000;
  const regionSelector = "[data-live-topics][id]";
  const work = new WeakMap();
  let last = Number(document.body.dataset.seq), socket = null, attempt = 0, reconnectTimer = 0;
  let heardAt = Date.now(), askedAt = Date.now(), pulledAt = 0, polledAt = 0, announcedAt = 0;
  let ended = false, refused = false, paused = false, catching = false, held = 0, shown = "";

  const regions = () => [...document.querySelectorAll(regionSelector)];
  const topicsOf = (region) => region.dataset.liveTopics.split(/\s+/);
  const workOf = (region) => work.get(region) ?? work.set(region, { busy: false, wanted: false, failed: false, timer: 0, nextAt: 0, goodAt: Date.now() }).get(region);
  const pullAll = () => regions().forEach(poke);
  const idle = () => regions().map(workOf).every((job) => !job.busy && !job.timer && !job.failed);

  function poke(region) {
    const job = workOf(region);
    job.wanted = true;
    if (!job.busy && !job.timer) job.timer = setTimeout(pull, Math.max(0, job.nextAt - Date.now()), region, job);
  }

  async function pull(region, job) {
    Object.assign(job, { timer: 0, busy: true, wanted: false, failed: false });
    const url = region.dataset.liveUrl || location.pathname + location.search;
    try {
      if (region.isConnected) await htmx.ajax("GET", url, { source: region, target: region, select: `#${region.id}`, swap: "morph:outerHTML", headers: { "X-Live": "1" } });
    } catch { job.failed = true; }
    job.busy = false;
    job.nextAt = Date.now() + (job.failed ? retry_ms : throttle_ms);
    if (!job.failed) job.goodAt = pulledAt = Date.now();
    if ((job.wanted || job.failed) && !ended && region.isConnected) poke(region);
    if (catching && idle()) catching = false;
    show();
  }

  // An answer without the region (a login page, an error) must never replace it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, xhr, target } = event.detail;
    if (!requestConfig.headers["X-Live"]) return;
    const redirected = xhr.responseURL && new URL(xhr.responseURL).pathname !== new URL(requestConfig.path, location.href).pathname;
    if (xhr.status === 401 || redirected) signOut();
    if (xhr.status !== 200 || redirected || !xhr.responseText.includes(`id="${target.id}"`)) {
      event.detail.shouldSwap = false;
      workOf(target).failed = true;
    }
  });

  function receive(frame) {
    heardAt = Date.now();
    attempt = 0;
    if (frame.at) Gapless.skew_ms = Date.parse(frame.at) - heardAt;
    const gap = frame.prev !== last, topics = frame.topics ?? [];
    last = frame.seq;
    if (paused) { if (gap || topics.length) held += 1; return; }
    if (gap) { catching = true; pullAll(); }
    else if (topics.length) regions().filter((region) => topicsOf(region).some((topic) => topics.includes(topic))).forEach(poke);
    if (catching && idle()) catching = false;
  }

  function connect() {
    clearTimeout(reconnectTimer);
    reconnectTimer = 0;
    askedAt = Date.now();
    const mine = socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/console/?since=${last}`);
    mine.onmessage = (event) => { if (mine === socket) { receive(JSON.parse(event.data)); show(); } };
    mine.onclose = (event) => { if (mine === socket) lost(event.code); };
  }

  function lost(code) {
    socket = null;
    if (code === 4401) signOut();
    if (code === 4403) refused = true;
    if (!ended && !refused && !reconnectTimer) {
      reconnectTimer = setTimeout(connect, Math.random() * Math.min(delay_ms_max, 1000 * 2 ** attempt));
      attempt += 1;
    }
    show();
  }

  function signOut() {
    if (ended) return;
    ended = true;
    socket?.close();
    const banner = document.createElement("div");
    banner.className = "banner";
    banner.dataset.tone = "danger";
    banner.setAttribute("role", "alert");
    banner.innerHTML = '<strong>SIGNED OUT</strong><span>Your session ended. What you see is no longer updated; orders keep running.</span><a class="button button-small">Sign in</a>';
    banner.querySelector("a").href = `${document.body.dataset.loginUrl}?next=${encodeURIComponent(location.pathname + location.search)}`;
    document.getElementById("content").before(banner);
    show();
  }

  function condition() {
    const now = Date.now(), closed = socket?.readyState !== WebSocket.OPEN;
    if (ended) return ["signed-out", "signed out"];
    if (paused) return ["paused", `paused · ${held} held`];
    if (closed && now - pulledAt < silence_ms && now - heardAt > poll_ms) return ["polling", `polling every 5 s · ${Gapless.age((now - pulledAt) / 1000)} ago`];
    if (now - heardAt > silence_ms) return ["stale", `stale since ${Gapless.clock(heardAt + Gapless.skew_ms)}`];
    if (catching || closed) return ["catching-up", "catching up"];
    return ["live", `live · seq ${last.toLocaleString("en").replaceAll(",", " ")} · ${Gapless.age((now - heardAt) / 1000)} ago`];
  }

  function show() {
    const [state, text] = condition(), chip = document.getElementById("connection");
    if (chip) { chip.dataset.connection = state; chip.textContent = text; }
    const skew = document.getElementById("skew");
    if (skew && Math.abs(Gapless.skew_ms) > 2000) skew.textContent = `this computer is off by ${Math.round(-Gapless.skew_ms / 1000)} s`;
    for (const region of regions()) {
      const job = workOf(region), since = state === "stale" || state === "signed-out" ? Math.max(heardAt, job.goodAt) : job.failed ? job.goodAt : 0;
      if (since) region.dataset.stale = `as of ${Gapless.clock(since + Gapless.skew_ms)} UTC · ${Gapless.age((Date.now() - since) / 1000)} old`;
      else delete region.dataset.stale;
    }
    if (state !== shown && state !== "live" || state === "live" && shown && shown !== "live") {
      if (Date.now() - announcedAt > 10000 || state === "signed-out") { announcedAt = Date.now(); Gapless.announce(state === "live" ? "Caught up, live" : text); }
    }
    shown = state;
  }

  document.addEventListener("gapless:pause", () => {
    paused = !paused;
    if (!paused && held) { held = 0; catching = true; pullAll(); }
    show();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !socket && !ended && !refused) connect(); });
  window.addEventListener("online", () => { if (!socket && !ended && !refused) connect(); });

  setInterval(() => {
    const now = Date.now();
    if (socket && now - Math.max(heardAt, askedAt) > silence_ms) { const dead = socket; lost(1006); dead.close(); }
    if (!ended && !paused && !document.hidden && socket?.readyState !== WebSocket.OPEN && now - heardAt > poll_ms && now - polledAt > poll_ms) { polledAt = now; pullAll(); }
    show();
  }, 1000);
  connect();
})();
