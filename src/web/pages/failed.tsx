import { failures, notices, type Wording } from './failures.ts';
import { linkTarget } from './href.ts';
import { Foreign, Layout, Reference } from './layout.tsx';
import type { FailedPage, NoticePage } from './page.ts';

type Names = Readonly<Record<'project' | 'provider', string | undefined>>;

const stand = { project: 'the app that sent you here', provider: 'the provider' };
const placeholder = /\{(project|provider)\}/;

/** A template cut into pieces: even ones are our words, odd ones name a placeholder. */
function pieces(template: string): string[] {
  return template.split(placeholder);
}

const nameKey = (piece: string) => (piece === 'project' ? 'project' : 'provider');

function sentenceCase(text: string, index: number, before: string): string {
  return (index === 1 && before === '') || /[.!?] $/.test(before) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

function Worded({ template, names }: { template: string; names: Names }) {
  const parts = pieces(template);
  return parts.map((piece, index) => {
    if (index % 2 === 0) return piece;
    const key = nameKey(piece);
    const name = names[key];
    return name === undefined ? sentenceCase(stand[key], index, parts[index - 1] ?? '') : <Foreign>{name}</Foreign>;
  });
}

function worded(template: string, names: Names): string {
  const parts = pieces(template);
  return parts
    .map((piece, index) => (index % 2 === 0 ? piece : (names[nameKey(piece)] ?? sentenceCase(stand[nameKey(piece)], index, parts[index - 1] ?? ''))))
    .join('');
}

type FailureProps = { wording: Wording; names: Names; code: string; requestId: string; again: string | undefined };

function Failure({ wording, names, code, requestId, again }: FailureProps) {
  const target = linkTarget(again);
  return (
    <Layout
      title={worded(wording.heading, names)}
      tone="bad"
      heading={<Worded template={wording.heading} names={names} />}
      footer={<Reference code={code} requestId={requestId} />}
    >
      <p>
        <Worded template={wording.what} names={names} />
      </p>
      <h2>What to do</h2>
      <p>
        <Worded template={wording.next} names={names} />
      </p>
      {target === undefined ? null : (
        <a class="button" href={target} rel="noreferrer">
          Try again
        </a>
      )}
    </Layout>
  );
}

/** A link that ended without a connection: what happened, what to do, and what support needs. */
export function Failed({ page }: { page: FailedPage }) {
  const names = { project: page.project, provider: page.provider };
  return <Failure wording={failures[page.code]} names={names} code={page.code} requestId={page.requestId} again={page.again} />;
}

/** Everything else that stops a person. */
export function Stopped({ page }: { page: NoticePage }) {
  const names = { project: 'project' in page ? page.project : undefined, provider: 'provider' in page ? page.provider : undefined };
  const again = page.kind === 'stale_form' ? page.again : undefined;
  const code = page.kind === 'error' ? 'internal_error' : page.kind;
  return <Failure wording={notices[page.kind]} names={names} code={code} requestId={page.requestId} again={again} />;
}
