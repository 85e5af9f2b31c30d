import type { ComponentChildren } from 'preact';
import { stylesheet } from './stylesheet.ts';

type Children = { children: ComponentChildren };

/** Text that somebody else chose, kept from reordering the words around it (Unicode TR9). */
export function Foreign({ children }: { children: string }) {
  return <bdi>{children}</bdi>;
}

type Tone = 'plain' | 'good' | 'bad';

const marks = { good: 'M5 12.5l4.5 4.5L19 7.5', bad: 'M12 6.5v7m0 3.6v.4' } as const;

function Mark({ tone }: { tone: Exclude<Tone, 'plain'> }) {
  return (
    <svg class={`mark ${tone}`} width="44" height="44" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <circle cx="12" cy="12" r="12" />
      <path d={marks[tone]} fill="none" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

/** The whole document around one heading. `title` is plain text; the heading may hold elements. */
export function Layout({
  title,
  heading,
  tone,
  children,
  footer,
}: Children & {
  title: string;
  heading: ComponentChildren;
  tone: Tone;
  footer?: ComponentChildren;
}) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex, nofollow" />
        <title>{title}</title>
        <link rel="stylesheet" href={stylesheet.path} />
      </head>
      <body>
        <main>
          {tone === 'plain' ? null : <Mark tone={tone} />}
          <h1>{heading}</h1>
          {children}
        </main>
        <footer>
          {footer}
          <p>Connections are kept by Grantry.</p>
        </footer>
      </body>
    </html>
  );
}

/** The small print of a failure: what support needs to find it. */
export function Reference({ code, requestId }: { code: string; requestId: string }) {
  return (
    <dl class="reference">
      <div>
        <dt>Code</dt>
        <dd>
          <code>{code}</code>
        </dd>
      </div>
      <div>
        <dt>Request</dt>
        <dd>
          <code>{requestId}</code>
        </dd>
      </div>
    </dl>
  );
}

/** A box that stands out from the text. */
export function Notice({ title, children }: Children & { title: string }) {
  return (
    <section class="notice" aria-labelledby="notice-title">
      <h2 id="notice-title">{title}</h2>
      {children}
    </section>
  );
}
