import { PostForm } from './form.tsx';
import { linkTarget } from './href.ts';
import { Foreign, Layout, Notice } from './layout.tsx';
import { type ConfirmationPage, type ConnectedPage, decisions, formFields, type TestedPage } from './page.ts';

/** Is the account that was authorized the one that was meant? */
export function Confirmation({ page }: { page: ConfirmationPage }) {
  return (
    <Layout
      title={`Connect this account? ${page.provider} and ${page.project}`}
      tone="plain"
      heading={
        <>
          Connect this <Foreign>{page.provider}</Foreign> account?
        </>
      }
    >
      {page.account === undefined ? (
        <p>
          <Foreign>{page.provider}</Foreign> does not say which account it is: the one that you just allowed access for.
        </p>
      ) : (
        <p class="account" dir="auto">
          {page.account}
        </p>
      )}
      <p>
        If you go on, <Foreign>{page.project}</Foreign> can use this account for <Foreign>{page.endUser}</Foreign>. If it is not your account, do not
        connect it.
      </p>
      <PostForm action={page.action} csrf={page.csrf}>
        <div class="buttons">
          <button type="submit" name={formFields.decision} value={decisions.confirm}>
            Yes, connect it
          </button>
          <button type="submit" class="second" name={formFields.decision} value={decisions.decline}>
            No, do not connect
          </button>
        </div>
      </PostForm>
    </Layout>
  );
}

/** It worked. */
export function Connected({ page }: { page: ConnectedPage }) {
  const back = linkTarget(page.returnTo);
  return (
    <Layout
      title={`${page.provider} is connected to ${page.project}`}
      tone="good"
      heading={
        <>
          <Foreign>{page.provider}</Foreign> is connected
        </>
      }
    >
      <p>
        <Foreign>{page.project}</Foreign> can now use your <Foreign>{page.provider}</Foreign> account.{' '}
        {back === undefined ? 'You can close this page.' : null}
      </p>
      {page.missing.length === 0 ? null : (
        <Notice title="Not everything that was asked for was allowed">
          <p>
            <Foreign>{page.project}</Foreign> did not get these permissions, and may ask you for them again:
          </p>
          <ul class="scopes">
            {page.missing.map((scope) => (
              <li>
                <code dir="auto">{scope}</code>
              </li>
            ))}
          </ul>
        </Notice>
      )}
      {back === undefined ? null : (
        <a class="button" href={back} rel="noreferrer">
          Return to <Foreign>{page.project}</Foreign>
        </a>
      )}
    </Layout>
  );
}

/** A test has ended; what came of it is in its trace. */
export function Tested({ page }: { page: TestedPage }) {
  const failed = page.outcome === 'failed';
  const verdict = failed ? 'failed' : 'passed';
  return (
    <Layout
      title={`The test of ${page.integration} ${verdict}`}
      tone={failed ? 'bad' : 'good'}
      heading={
        <>
          The test of <Foreign>{page.integration}</Foreign> {verdict}
        </>
      }
    >
      <p>
        {failed ? 'The trace of the test says at which step, and what to look at.' : 'The trace of the test says what each step brought.'} Nothing was
        connected to <Foreign>{page.provider}</Foreign>. You can close this page.
      </p>
    </Layout>
  );
}
