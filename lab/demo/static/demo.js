// Ask for the state every second and show it; between two answers only the countdowns move.
"use strict";
const EVERY_MS = 1000, SHOWN_DAYS = 42, DAY_MS = 86400000;
const byId = id => document.getElementById(id);
const charts = {};
let state = null, ahead = 0;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function put(target, text) { if (target.textContent !== text) target.textContent = text; }

function clock(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

function length(ms) {
  const hours = Math.floor(ms / 3600000), days = Math.floor(hours / 24);
  return days ? `${days} d ${hours % 24} h` : `${hours} h`;
}

function card(customer) {
  const made = element("article", { className: "customer", id: `c-${customer.account}` },
    element("h2", { textContent: customer.name }),
    element("p", { className: "who", textContent: `${customer.worth} · ${customer.country} · looked after by ${customer.owner}` }),
    element("p", { className: "state" }),
    element("p", { className: "why" }),
    element("p", { className: "health" }, element("span", { textContent: "Health, the last six weeks" }), element("b")),
    element("div", { className: "chart" }),
    element("button", { textContent: "Customer returns" }),
    element("div", { className: "slack", hidden: true }));
  made.querySelector(".state").setAttribute("role", "status");
  const button = made.querySelector("button");
  button.dataset.do = `return-${customer.account}`;
  button.setAttribute("aria-label", `${customer.name} returns`);
  byId("customers").append(made);
  return made;
}

function chart(target, label) {
  return new uPlot({
    width: target.clientWidth, height: target.clientHeight, legend: { show: false }, cursor: { show: false },
    scales: { y: { range: [0, 100] } },
    axes: [
      { stroke: "#566173", grid: { show: false }, ticks: { show: false }, size: 24, space: 70, values: (_, ticks) => ticks.map(t => new Date(t * 1000).toLocaleDateString(undefined, { day: "numeric", month: "short" })) },
      { stroke: "#566173", grid: { stroke: "#eceff3" }, ticks: { show: false }, size: 30, splits: () => [0, 50, 100] },
    ],
    series: [{}, { stroke: "#2457a6", width: 2, fill: "#2457a614", points: { show: false }, label },
      { stroke: "#2457a6", points: { show: true, size: 8, fill: "#2457a6" }, paths: () => null }],
  }, [[], [], []], target);
}

function draw(customer, made) {
  const target = made.querySelector(".chart");
  charts[customer.account] ??= chart(target, customer.name);
  const points = customer.history.filter(p => p[0] > state.now - SHOWN_DAYS * DAY_MS && p[1] !== null).sort((a, b) => a[0] - b[0]);
  if (customer.health !== null && customer.health !== undefined) points.push([state.now, customer.health]);
  const x = points.map(p => p[0] / 1000), y = points.map(p => p[1] / 1000);
  charts[customer.account].setData([x, y, y.map((v, n) => n === y.length - 1 ? v : null)]);
  target.setAttribute("role", "img");
  target.setAttribute("aria-label", y.length ? `Health of ${customer.name}: ${Math.round(y[0])} six weeks ago, ${Math.round(y[y.length - 1])} now` : "no health yet");
}

function judged(customer, now) {
  const left = customer.deadline - now;
  if (customer.alert === "resolved") return ["over", "Resolved by itself", "The customer is back; the message below says so. Nobody had to click."];
  if (customer.alert) return ["open", `Told ${customer.told_at ? `${Math.max(0, (customer.told_at - customer.deadline) / 1000).toFixed(1)} s after its time` : ""}`, `${customer.owner} has a direct message, once.`];
  if (customer.returned) return ["over", "Active again", "It came back before anybody had to be told."];
  const quiet = customer.last_activity ? `Quiet for ${length(now - customer.last_activity)}: for this customer that becomes abnormal` : "Its silence becomes abnormal";
  if (left > 0) return ["soon", `Alert in ${clock(left)}`, `${quiet} at ${new Date(customer.deadline).toLocaleTimeString()}.`];
  return ["soon", "Alert due now", "The next tick judges it."];
}

function moveCountdowns() {
  if (!state) return;
  const now = Date.now() + ahead;
  for (const customer of state.named) {
    const made = byId(`c-${customer.account}`);
    if (!made) continue;
    const [look, words, why] = judged(customer, now);
    const shown = made.querySelector(".state");
    if (shown.className !== `state ${look}`) shown.className = `state ${look}`;
    shown.setAttribute("aria-live", look === "soon" ? "off" : "polite");
    put(shown, words);
    put(made.querySelector(".why"), why);
  }
}

function showCustomers() {
  for (const customer of state.named) {
    const made = byId(`c-${customer.account}`) ?? card(customer);
    const known = customer.health !== null && customer.health !== undefined;
    put(made.querySelector(".health b"), known ? `${Math.floor(customer.health / 100) / 10} of 100, ${customer.band.replace("_", " ")}` : "not known yet");
    made.querySelector("button").disabled = customer.returned || !known;
    draw(customer, made);
    const slack = made.querySelector(".slack");
    if (customer.message && slack.dataset.shown !== customer.message) {
      slack.dataset.shown = customer.message;
      slack.innerHTML = customer.message; // escaped where it was made: what a sender wrote never becomes a tag
      slack.prepend(element("p", { className: "to", textContent: `In Slack, to ${customer.owner}` }));
      slack.hidden = false;
    }
  }
}

function showOutage() {
  const { outage } = state, rows = [];
  put(byId("source"), outage.source);
  byId("break").disabled = outage.broken || outage.began !== null || state.phase !== "";
  byId("restore").disabled = !outage.broken;
  if (outage.began) {
    const left = outage.witness_deadline - state.now;
    rows.push(["state", outage.broken ? `silent for ${clock(state.now - outage.began)}` : "back, and has sent what it held back"]);
    rows.push([outage.witness, left > 0 ? `its silence would become abnormal in ${clock(left)}` : "its silence would have become abnormal meanwhile"]);
    rows.push(["its owner", outage.witness_alert ? "was disturbed" : "hears nothing"]);
    rows.push(["incidents", outage.incidents ? `${outage.incidents} in #churn-ops: ${outage.incident}` : "none yet: noticed after ten seconds of silence"]);
  }
  byId("outage").replaceChildren(...rows.flatMap(([name, text]) => [element("dt", { textContent: name }), element("dd", { textContent: text })]));
}

function showCounts() {
  byId("kill").disabled = !state.scorer_up || state.phase !== "";
  put(byId("scorer"), state.scorer_up ? (state.kills ? `It is back; it died ${state.kills === 1 ? "once" : `${state.kills} times`}.` : "It is at work.") : "It is away. Its keeper starts it again …");
  const counts = state.counts;
  if (!counts) return;
  const cells = [["sent and answered", counts.sent], ["in Kafka", counts.events], ["applied", counts.applied], ["duplicates", counts.duplicate],
    ["dead", counts.dead, counts.dead ? "broken" : ""], ["alerts", counts.alerts], ["Slack messages", counts.messages], ["repeated messages", counts.repeated, counts.repeated ? "broken" : "proof"]];
  byId("counts").replaceChildren(...cells.map(([name, count, look]) =>
    element("div", { className: look ?? "" }, element("dt", { textContent: name }), element("dd", { textContent: count.toLocaleString() }))));
  const scored = counts.applied + counts.duplicate + counts.dead + counts.moved + counts.ticks;
  put(byId("sum"), `${counts.log.toLocaleString()} records lie in the log; ${scored.toLocaleString()} have a fate: applied, duplicate, dead, moved or one of ${counts.ticks.toLocaleString()} ticks.` +
    (scored === counts.log ? " None is missing." : " The rest is on its way.") +
    (counts.lists ? ` What was at risk already when the history ended came as one list for each of ${counts.lists} owners.` : ""));
}

function show(found) {
  state = found;
  ahead = found.now - Date.now();
  put(byId("phase"), found.phase);
  showCustomers();
  showOutage();
  showCounts();
  if (found.leavers) put(byId("leavers"), `${found.leavers}.`);
  byId("happened").replaceChildren(...found.happened.slice().reverse().map(line =>
    element("li", {}, element("time", { textContent: new Date(line.at).toLocaleTimeString() }), line.text)));
  moveCountdowns();
}

async function ask() {
  try { show(await (await fetch("/state")).json()); }
  catch { put(byId("phase"), "The demo has ended, or does not answer."); }
  setTimeout(ask, EVERY_MS);
}

document.addEventListener("click", async event => {
  const button = event.target.closest("button[data-do]");
  if (!button || button.disabled) return;
  button.disabled = true;
  const answer = await fetch(`/do/${button.dataset.do}`, { method: "POST", headers: { "X-Demo": "1" } });
  if (answer.ok) show(await answer.json());
});
document.addEventListener("submit", async event => { // a button of the Slack message
  event.preventDefault();
  event.target.querySelector("button").disabled = true;
  await fetch("/press", { method: "POST", headers: { "X-Demo": "1" }, body: new FormData(event.target) });
});
addEventListener("resize", () => Object.values(charts).forEach(c => c.setSize({ width: c.root.parentElement.clientWidth, height: c.root.parentElement.clientHeight })));
setInterval(moveCountdowns, 250);
ask();
