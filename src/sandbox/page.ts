/** The pages that a sandbox provider shows to its user: plain HTML, forms, no script. */

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A page with a heading and a body that is HTML already. */
export function page(title: string, body: string): string {
  const style = 'body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:3rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem}';
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title><style>${style}</style></head><body><h1>${escapeHtml(title)}</h1>${body}</body></html>`;
}

export type ApprovalQuestion = {
  title: string;
  /** Who asks: the client id. */
  client: string;
  scopes?: readonly string[];
  /** Where the form goes. */
  action: string;
  hidden?: Readonly<Record<string, string>>;
};

/** The consent page: a field `user`, and the buttons Approve and Deny (`decision=approve` or `deny`). */
export function approvalPage({ title, client, scopes = [], action, hidden = {} }: ApprovalQuestion): string {
  const fields = Object.entries(hidden).map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`);
  const list = scopes.length === 0 ? '' : `<ul>${scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join('')}</ul>`;
  return page(
    title,
    `<p><strong>${escapeHtml(client)}</strong> asks for access to your account.</p>${list}
<form method="post" action="${escapeHtml(action)}">${fields.join('')}
<p><label for="user">User name</label> <input id="user" name="user" value="alice" required></p>
<p><button name="decision" value="approve">Approve</button> <button name="decision" value="deny">Deny</button></p></form>`,
  );
}
