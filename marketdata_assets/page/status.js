// Status: the last evening, what is late, what runs next, the allowance, the disk.

import { ask } from "./asking.js";
import { bytes, facts, h, moment, number, panel, table } from "./elements.js";
import { barList } from "./charts.js";
import { t } from "./texts.js";

export async function showStatus({ signal }) {
  const status = await ask("api/v1/status", {}, signal);
  return h("div", { class: "view status" },
    h("h1", {}, t("status"), h("small", {}, `${moment(status.now)} · ${status.profile}`)),
    h("p", { class: status.dev_runs ? "good" : "warn" }, t(status.dev_runs ? "dev_on" : "dev_off")),
    h("div", { class: "columns narrow" },
      status.evenings.map(evening),
      panel(t("allowance"), allowance(status)),
      panel(t("disk"), disk(status))),
    panel(t("next_runs"), table([
      ["", (run) => run.schedule],
      ["", (run) => (run.is_on ? moment(run.at) : t("off")), true],
    ], status.next_runs)));
}

function evening(one) {
  const lacking = (days) => (days.length
    ? h("span", { class: "warn" }, `${number(days.length, 0)} ${t("days")} · ${days.length > 3 ? "… " : ""}${days.slice(-3).join(", ")}`)
    : t("nothing_late"));
  return panel(`${t("evening")} · ${one.table}`, facts([
    [t("last_stored"), one.last_stored ?? t("never")],
    one.stored_at ? [t("stored_at"), moment(one.stored_at)] : null,
    [t("series_to"), one.series_to ?? t("never")],
    // Of funds nothing is published.
    one.last_published || one.unpublished.length ? [t("last_published"), one.last_published ?? t("never")] : null,
    one.published_at ? [t("published_at"), moment(one.published_at)] : null,
    [t("late"), lacking(one.late)],
    one.unpublished.length ? [t("unpublished"), lacking(one.unpublished)] : null,
  ]));
}

function allowance({ calls, calls_per_minute: most }) {
  if (calls === null) return h("p", { class: "quiet" }, t("no_allowance"));
  return h("div", {}, h("p", {}, `${number(calls, 0)} / ${number(most, 0)}`),
    h("meter", { min: 0, max: most, value: calls, high: most * 0.9, "aria-label": t("allowance") }));
}

function disk({ bytes_on_disk: sizes, bytes_free: free }) {
  const rows = Object.entries(sizes).map(([name, value]) => ({ name, value, text: bytes(value) }));
  return h("div", { class: "disk" }, rows.length ? barList(t("disk"), rows, 290) : null,
    h("p", { class: "quiet" }, `${bytes(free)} ${t("free")}`));
}
