import { createHash } from 'node:crypto';

const body = `:root {
  color-scheme: light dark;
  --ground: #f4f5f7;
  --card: #ffffff;
  --ink: #1b1f27;
  --soft: #545c6b;
  --line: #d5d9e0;
  --edge: #7b8494;
  --accent: #2546c4;
  --accent-over: #1b3599;
  --on-accent: #ffffff;
  --tint: #eef1fb;
  --warn: #fdf3dc;
  --warn-line: #b97b00;
  --bad: #b3261e;
  --bad-tint: #fdeeec;
  --good: #1a7a46;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #111318;
    --card: #1a1d24;
    --ink: #eceef2;
    --soft: #aab2c0;
    --line: #343a46;
    --edge: #7d8797;
    --accent: #a9bdff;
    --accent-over: #c6d3ff;
    --on-accent: #10173a;
    --tint: #222838;
    --warn: #332912;
    --warn-line: #d9a033;
    --bad: #ffaea6;
    --bad-tint: #3a1f1d;
    --good: #79d6a2;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0;
  min-height: 100vh;
  padding: clamp(1.5rem, 7vh, 5rem) 1rem 2rem;
  display: flex;
  flex-direction: column;
  align-items: center;
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
main, footer { width: 100%; max-width: 31rem; }
main { padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; }
footer { padding: 1.25rem 2rem 0; color: var(--soft); font-size: .875rem; }
footer p { margin: .5rem 0 0; }
h1 { margin: 0 0 1.25rem; font-size: 1.5rem; line-height: 1.3; font-weight: 650; text-wrap: balance; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem; line-height: 1.4; font-weight: 650; }
p { margin: 0 0 1rem; }
main > :last-child, li > :last-child, .notice > :last-child { margin-bottom: 0; }
bdi { unicode-bidi: isolate; }
code { font: .9375em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
a { color: var(--accent); }

.mark { display: block; margin-bottom: 1rem; }
.mark circle { fill: currentColor; }
.mark path { stroke: var(--card); }
.mark.good { color: var(--good); }
.mark.bad { color: var(--soft); }

dl { margin: 0; }
dd { margin: 0; }
.facts { border-top: 1px solid var(--line); }
.facts div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .625rem 0; border-bottom: 1px solid var(--line); }
.facts dt { flex: 0 0 7.75rem; color: var(--soft); }
.facts dd { flex: 1 1 12rem; font-weight: 550; }
.scopes { margin: 0 0 1rem; padding: 0; list-style: none; }
.scopes li { margin: .25rem 0; padding: .375rem .75rem; background: var(--tint); border-radius: .5rem; }
.account { padding: 1rem; background: var(--tint); border-radius: .625rem; font-size: 1.125rem; font-weight: 600; }

.notice { margin: 1.25rem 0; padding: .875rem 1rem; background: var(--warn); border-left: 4px solid var(--warn-line); border-radius: .375rem; }
.notice h2 { margin-top: 0; }
.notice p, .notice ul { margin: 0; }
.notice ul { padding: 0; list-style: none; }
.notice.bad { background: var(--bad-tint); border-color: var(--bad); }
.notice a { display: block; padding: .5625rem 0; min-height: 2.75rem; color: inherit; }
.notice li:last-child a { margin-bottom: -.5625rem; }

form { margin: 1.5rem 0 0; }
.field { margin: 0 0 1.25rem; }
.field.faulty { padding-left: .875rem; border-left: 4px solid var(--bad); }
label { display: block; font-weight: 600; }
.optional { color: var(--soft); font-weight: 400; }
.hint { margin: .125rem 0 0; color: var(--soft); font-size: .9375rem; }
.error { margin: .25rem 0 0; color: var(--bad); font-size: .9375rem; font-weight: 600; }
input, select, textarea {
  display: block;
  width: 100%;
  min-height: 2.875rem;
  margin-top: .5rem;
  padding: .625rem .75rem;
  background: var(--card);
  color: var(--ink);
  border: 1px solid var(--edge);
  border-radius: .5rem;
  font: inherit;
}
textarea { resize: vertical; overflow-wrap: anywhere; }
.masked { -webkit-text-security: disc; }
[aria-invalid="true"] { border: 2px solid var(--bad); }
button, .button {
  display: block;
  width: 100%;
  min-height: 3rem;
  padding: .6875rem 1.25rem;
  background: var(--accent);
  color: var(--on-accent);
  border: 1px solid transparent;
  border-radius: .625rem;
  font: inherit;
  font-weight: 600;
  text-align: center;
  text-decoration: none;
  cursor: pointer;
}
button:hover, .button:hover { background: var(--accent-over); }
.second { background: transparent; color: var(--accent); border-color: var(--edge); }
.second:hover { background: var(--tint); }
.buttons { display: grid; gap: .75rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.destination { color: var(--soft); }
.destination strong { color: var(--ink); }
.aside { margin-top: 1.25rem; color: var(--soft); font-size: .9375rem; }

.steps { margin: 0; padding: 0; list-style: none; counter-reset: step; }
.steps > li { position: relative; padding: 0 0 1.75rem 3rem; counter-increment: step; }
.steps > li:last-child { padding-bottom: 0; }
.steps > li::before {
  content: counter(step);
  position: absolute;
  left: 0;
  top: -.125rem;
  width: 2rem;
  height: 2rem;
  border-radius: 50%;
  background: var(--tint);
  color: var(--accent);
  font-weight: 650;
  line-height: 2rem;
  text-align: center;
}
.steps h2 { margin-top: 0; }
.steps form { margin-top: .5rem; }

.reference div { display: flex; flex-wrap: wrap; gap: 0 .5rem; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@media (max-width: 30rem) {
  body { padding: 0 0 1.5rem; background: var(--card); }
  main { padding: 1.5rem 1.25rem; border: 0; border-radius: 0; }
  footer { padding: 0 1.25rem; }
}
@media (forced-colors: active) {
  .notice, .scopes li, .account, .steps > li::before { border: 1px solid; }
}
`;

const digest = createHash('sha256').update(body).digest('base64url').slice(0, 16);

/** The one stylesheet of the hosted pages. Its address changes with its content, so it may be kept for ever. */
export const stylesheet = {
  path: `/assets/${digest}.css`,
  body,
  headers: {
    'Content-Type': 'text/css; charset=utf-8',
    'Cache-Control': 'public, max-age=31536000, immutable',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
  },
} as const;
