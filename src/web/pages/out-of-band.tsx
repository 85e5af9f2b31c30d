import { PostForm } from './form.tsx';
import { requiredLinkTarget } from './href.ts';
import { Foreign, Layout } from './layout.tsx';
import { formFields, type OutOfBandPage } from './page.ts';

function Verifier({ page }: { page: OutOfBandPage }) {
  const faulty = page.error !== undefined;
  return (
    <div class={faulty ? 'field faulty' : 'field'}>
      <label for="verifier">Code</label>
      <p class="hint" id="verifier-hint">
        <Foreign>{page.provider}</Foreign> shows it once you have allowed access.
      </p>
      <input
        id="verifier"
        name={formFields.verifier}
        type="text"
        required
        autofocus={faulty}
        autocomplete="one-time-code"
        autocapitalize="none"
        spellcheck={false}
        aria-describedby={faulty ? 'verifier-hint fault' : 'verifier-hint'}
        aria-invalid={faulty ? 'true' : undefined}
      />
    </div>
  );
}

/** Two steps: allow access at the provider in another tab, then come back (with a code, where there is one). */
export function OutOfBand({ page }: { page: OutOfBandPage }) {
  const title = `Connect ${page.provider} to ${page.project}`;
  return (
    <Layout
      title={page.error === undefined ? title : `Error: ${title}`}
      tone="plain"
      heading={
        <>
          Connect <Foreign>{page.provider}</Foreign> in two steps
        </>
      }
    >
      {page.error === undefined ? null : (
        <div class="notice bad" role="alert" id="fault">
          <p dir="auto">{page.error}</p>
        </div>
      )}
      <ol class="steps">
        <li>
          <h2>
            Allow access at <Foreign>{page.provider}</Foreign>
          </h2>
          <p>
            <strong>
              <Foreign>{page.host}</Foreign>
            </strong>{' '}
            opens in a new tab. Sign in there and allow access for <Foreign>{page.project}</Foreign>.
          </p>
          <a class="button" href={requiredLinkTarget(page.authorizeUrl)} target="_blank" rel="noopener noreferrer">
            Open <Foreign>{page.provider}</Foreign>
            <span class="unseen"> in a new tab</span>
          </a>
        </li>
        <li>
          <h2>Come back here</h2>
          <PostForm action={page.action} csrf={page.csrf}>
            {page.verifier === 'required' ? <Verifier page={page} /> : <p>When you have allowed access, come back to this tab and finish.</p>}
            <button type="submit" class="second">
              {page.verifier === 'required' ? 'Finish' : 'I have allowed access'}
            </button>
          </PostForm>
        </li>
      </ol>
    </Layout>
  );
}
