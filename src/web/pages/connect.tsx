import { FaultSummary, Fields, hasFaults, PostForm } from './form.tsx';
import { Foreign, Layout, Notice } from './layout.tsx';
import type { ConnectPage } from './page.ts';

function Scopes({ page }: { page: ConnectPage }) {
  if (page.scopes.length === 0) {
    return (
      <p>
        No particular permissions are asked for: <Foreign>{page.provider}</Foreign> decides what this access covers.
      </p>
    );
  }
  return (
    <ul class="scopes">
      {page.scopes.map((scope) => (
        <li>
          <code dir="auto">{scope}</code>
        </li>
      ))}
    </ul>
  );
}

function Reconnect({ page }: { page: ConnectPage }) {
  if (page.reconnect === 'first') return null;
  if (page.reconnect === 'again') {
    return <p>You have connected this before. Going on renews the access.</p>;
  }
  return (
    <Notice title="Going on ends the present access at once">
      <p>
        From the moment you go on until you have finished, <Foreign>{page.project}</Foreign> cannot use your <Foreign>{page.provider}</Foreign>{' '}
        account. If you stop half way, it stays cut off until you connect again.
      </p>
    </Notice>
  );
}

function Destination({ page }: { page: ConnectPage }) {
  if (page.sends === 'to_provider') {
    return (
      <p class="destination">
        Next you go to{' '}
        <strong>
          <Foreign>{page.host}</Foreign>
        </strong>
        , where you sign in and decide. Neither <Foreign>{page.project}</Foreign> nor this page sees your password there.
      </p>
    );
  }
  return (
    <p class="destination">
      What you enter is kept encrypted. With it, <Foreign>{page.project}</Foreign> can use your account at{' '}
      <strong>
        <Foreign>{page.host}</Foreign>
      </strong>
      .
    </p>
  );
}

/** Who asks, for whom, for what, and where the browser goes next; asks for what is missing. */
export function Connect({ page }: { page: ConnectPage }) {
  const title = `Connect ${page.provider} to ${page.project}`;
  return (
    <Layout
      title={hasFaults(page.inputs) ? `Error: ${title}` : title}
      tone="plain"
      heading={
        <>
          <Foreign>{page.project}</Foreign> asks for access to your <Foreign>{page.provider}</Foreign> account
        </>
      }
    >
      {page.purpose === 'connect' ? null : (
        <Notice title="This is a test of the integration">
          <p>
            Every step is written down for the administrators of <Foreign>{page.project}</Foreign>, with secrets masked. Nothing is connected: the
            access is tried out and then given back.
          </p>
        </Notice>
      )}
      <FaultSummary inputs={page.inputs} />
      <dl class="facts">
        <div>
          <dt>Asked by</dt>
          <dd>
            <Foreign>{page.project}</Foreign>
          </dd>
        </div>
        <div>
          <dt>Connected for</dt>
          <dd>
            <Foreign>{page.endUser}</Foreign>
          </dd>
        </div>
        <div>
          <dt>Account at</dt>
          <dd>
            <Foreign>{page.provider}</Foreign>
          </dd>
        </div>
      </dl>
      <h2>What it asks for</h2>
      <Scopes page={page} />
      <Reconnect page={page} />
      <PostForm action={page.action} csrf={page.csrf}>
        <Fields inputs={page.inputs} />
        <Destination page={page} />
        <button type="submit">
          {page.sends === 'to_provider' ? 'Continue to ' : 'Connect '}
          <Foreign>{page.provider}</Foreign>
        </button>
      </PostForm>
      <p class="aside">
        Did you not ask for this, or are you not <Foreign>{page.endUser}</Foreign>? Then close this page: nothing is connected.
      </p>
    </Layout>
  );
}
