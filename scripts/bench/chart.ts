/**
 * Line and bar charts as SVG, readable on light and dark pages: colours follow the reader's scheme, and
 * each line has a form of its own beside its colour.
 */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
}

export interface BarChart {
  readonly title: string;
  readonly xLabel: string;
  readonly bars: readonly {
    readonly name: string;
    readonly value: number;
    readonly isOurs: boolean;
  }[];
}

const WIDTH = 720;
const HEIGHT = 380;
const LEFT = 76;
const RIGHT = 24;
const TOP = 46;
const BOTTOM = 84;
const DASHES = ['', '7 4', '2 4', '10 3 2 3', '4 2'];

const style = `<style>
svg{font:13px system-ui,sans-serif}
text{fill:#24292f}.grid{stroke:#d0d7de}.axis{stroke:#57606a}.title{font-weight:600;font-size:15px}
.c0{stroke:#0550ae;fill:#0550ae}.c1{stroke:#bc4c00;fill:#bc4c00}.c2{stroke:#1a7f37;fill:#1a7f37}.c3{stroke:#8250df;fill:#8250df}.c4{stroke:#57606a;fill:#57606a}
.line{fill:none;stroke-width:2.2}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.axis{stroke:#8b949e}
.c0{stroke:#58a6ff;fill:#58a6ff}.c1{stroke:#f0883e;fill:#f0883e}.c2{stroke:#3fb950;fill:#3fb950}.c3{stroke:#bc8cff;fill:#bc8cff}.c4{stroke:#8b949e;fill:#8b949e}.line{fill:none}}
</style>`;

/** The x axis is logarithmic; the y axis begins at 0. */
export function lineChart({ title, xLabel, yLabel, series }: LineChart): string {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort(
    (a, b) => a - b,
  );
  const top = niceAbove(
    Math.max(1e-9, ...series.flatMap(({ points }) => points.map(([, y]) => y))),
  );
  const [low, high] = [Math.log(xs[0] ?? 1), Math.log(xs.at(-1) ?? 10)];
  const spanX = WIDTH - LEFT - RIGHT;
  const spanY = HEIGHT - TOP - BOTTOM;
  const atX = (x: number): number =>
    high === low ? LEFT + spanX / 2 : LEFT + ((Math.log(x) - low) / (high - low)) * spanX;
  const atY = (y: number): number => TOP + spanY - (y / top) * spanY;
  const parts = [frame(title, WIDTH, HEIGHT)];
  for (let step = 0; step <= 4; step++) {
    const y = (top * step) / 4;
    parts.push(line('grid', LEFT, atY(y), WIDTH - RIGHT, atY(y)));
    parts.push(text(LEFT - 8, atY(y) + 4, short(y), 'end'));
  }
  for (const x of xs) {
    parts.push(line('axis', atX(x), TOP + spanY, atX(x), TOP + spanY + 5));
    parts.push(text(atX(x), TOP + spanY + 20, short(x), 'middle'));
  }
  parts.push(line('axis', LEFT, TOP + spanY, WIDTH - RIGHT, TOP + spanY));
  parts.push(text(LEFT + spanX / 2, TOP + spanY + 40, xLabel, 'middle'));
  const middle = TOP + spanY / 2;
  parts.push(
    `<text x="18" y="${middle}" text-anchor="middle" transform="rotate(-90 18 ${middle})">${escapeXml(yLabel)}</text>`,
  );
  for (const [index, { name, points }] of series.entries()) {
    const colour = `c${index % 5}`;
    const path = points.map(([x, y]) => `${round(atX(x))},${round(atY(y))}`).join(' ');
    const dash = DASHES[index % DASHES.length];
    parts.push(`<polyline class="${colour} line" stroke-dasharray="${dash}" points="${path}"/>`);
    for (const [x, y] of points) {
      parts.push(
        `<circle class="${colour}" cx="${round(atX(x))}" cy="${round(atY(y))}" r="3"><title>${escapeXml(`${name}: ${short(y)} at ${short(x)}`)}</title></circle>`,
      );
    }
    const legendX = LEFT + index * 130;
    const legendY = HEIGHT - 16;
    parts.push(
      `<line class="${colour}" stroke-width="2.2" stroke-dasharray="${dash}" x1="${legendX}" y1="${legendY - 4}" x2="${legendX + 26}" y2="${legendY - 4}"/>`,
      text(legendX + 32, legendY, name, 'start'),
    );
  }
  return `${parts.join('\n')}\n</svg>\n`;
}

export function barChart({ title, xLabel, bars }: BarChart): string {
  const rowHeight = 30;
  const left = 190;
  const height = TOP + bars.length * rowHeight + 48;
  const top = niceAbove(Math.max(1e-9, ...bars.map(({ value }) => value)));
  const span = WIDTH - left - 80;
  const parts = [frame(title, WIDTH, height)];
  for (let step = 0; step <= 4; step++) {
    const x = left + (span * step) / 4;
    parts.push(line('grid', x, TOP, x, TOP + bars.length * rowHeight));
    parts.push(text(x, TOP + bars.length * rowHeight + 18, short((top * step) / 4), 'middle'));
  }
  for (const [index, { name, value, isOurs }] of bars.entries()) {
    const y = TOP + index * rowHeight;
    const width = round((value / top) * span);
    parts.push(text(left - 10, y + 19, name, 'end'));
    parts.push(
      `<rect class="${isOurs ? 'c0' : 'c4'}" x="${left}" y="${y + 6}" width="${width}" height="${rowHeight - 12}"/>`,
    );
    parts.push(text(left + width + 6, y + 19, short(value), 'start'));
  }
  parts.push(text(left + span / 2, height - 10, xLabel, 'middle'));
  return `${parts.join('\n')}\n</svg>\n`;
}

function frame(title: string, width: number, height: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">
${style}
<text class="title" x="${width / 2}" y="24" text-anchor="middle">${escapeXml(title)}</text>`;
}

function line(name: string, x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="${name}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
}

function text(x: number, y: number, content: string, anchor: string): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** 1, 2, 4 or 8 times a power of ten, so that a quarter of it is round as well. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 8].find((factor) => factor * power >= value) ?? 10) * power;
}

/** `950`, `1.2 k`, `15 k`, `1 M`. */
export function short(value: number): string {
  for (const [size, unit] of [
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (value >= size) return `${trim(value / size)}${unit}`;
  }
  return trim(value);
}

function trim(value: number): string {
  return String(Number(value.toPrecision(3)));
}
