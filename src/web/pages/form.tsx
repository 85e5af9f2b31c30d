import type { ComponentChildren } from 'preact';
import { formTarget } from './href.ts';
import { Foreign } from './layout.tsx';
import { formFields, type PageInput } from './page.ts';

/** A form of ours with its CSRF token. */
export function PostForm({ action, csrf, children }: { action: string; csrf: string; children: ComponentChildren }) {
  return (
    <form method="post" action={formTarget(action)}>
      <input type="hidden" name={formFields.csrf} value={csrf} />
      {children}
    </form>
  );
}

/** Browsers may offer what they know about a person (WCAG 1.3.5). */
function autocomplete(name: string): 'on' | 'email' | 'username' {
  return name === 'email' || name === 'username' ? name : 'on';
}

function Control({ input, id, describedBy, focused }: { input: PageInput; id: string; describedBy: string | undefined; focused: boolean }) {
  const shared = {
    id,
    name: input.name,
    required: !input.optional,
    autofocus: focused,
    'aria-describedby': describedBy,
    'aria-invalid': input.error === undefined ? undefined : ('true' as const),
  };
  const { choices, value } = input;
  if (choices !== undefined) {
    return (
      <select {...shared}>
        <option value="">Choose one</option>
        {choices.map((choice) => (
          <option value={choice.value} selected={choice.value === value}>
            {choice.label}
          </option>
        ))}
      </select>
    );
  }
  const typed = { ...shared, autocapitalize: 'none' as const, spellcheck: false };
  // A secret never goes back to the browser, not even to the person who typed it.
  if (input.lines) return <textarea {...typed} class="masked" rows={6} autocomplete="off" />;
  if (input.secret) return <input {...typed} type="password" autocomplete="off" />;
  return <input {...typed} type="text" value={value} autocomplete={autocomplete(input.name)} />;
}

function Field({ input, id, focused }: { input: PageInput; id: string; focused: boolean }) {
  const parts = {
    hint: input.description === undefined ? undefined : `${id}-hint`,
    example: input.example === undefined ? undefined : `${id}-example`,
    error: input.error === undefined ? undefined : `${id}-error`,
  };
  const describedBy =
    Object.values(parts)
      .filter((part) => part !== undefined)
      .join(' ') || undefined;
  return (
    <div class={input.error === undefined ? 'field' : 'field faulty'}>
      <label for={id}>
        <Foreign>{input.label}</Foreign>
        {input.optional ? <span class="optional"> (optional)</span> : null}
      </label>
      {parts.hint === undefined ? null : (
        <p class="hint" id={parts.hint} dir="auto">
          {input.description}
        </p>
      )}
      {parts.example === undefined ? null : (
        <p class="hint" id={parts.example}>
          For example: <Foreign>{input.example ?? ''}</Foreign>
        </p>
      )}
      {parts.error === undefined ? null : (
        <p class="error" id={parts.error}>
          <span class="unseen">Error: </span>
          <Foreign>{input.error ?? ''}</Foreign>
        </p>
      )}
      <Control input={input} id={id} describedBy={describedBy} focused={focused} />
    </div>
  );
}

const fieldId = (index: number) => `field-${index + 1}`;

/** The fields of a form; the first one with an error, if any, has the focus. */
export function Fields({ inputs }: { inputs: readonly PageInput[] }) {
  const firstFault = inputs.findIndex((input) => input.error !== undefined);
  return inputs.map((input, index) => <Field input={input} id={fieldId(index)} focused={index === firstFault} />);
}

/** What has to be mended, with a link to each field. */
export function FaultSummary({ inputs }: { inputs: readonly PageInput[] }) {
  if (!hasFaults(inputs)) return null;
  return (
    <div class="notice bad" role="alert">
      <h2>Please check what you entered</h2>
      <ul>
        {inputs.map((input, index) =>
          input.error === undefined ? null : (
            <li>
              <a href={`#${fieldId(index)}`}>
                <Foreign>{input.label}</Foreign>: <Foreign>{input.error}</Foreign>
              </a>
            </li>
          ),
        )}
      </ul>
    </div>
  );
}

export function hasFaults(inputs: readonly PageInput[]): boolean {
  return inputs.some((input) => input.error !== undefined);
}
