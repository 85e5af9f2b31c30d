import { renderDocument } from '../pages/render.tsx';
import { stylesheet } from '../pages/stylesheet.ts';

/** The API reference as one plain page. It reads the finished OpenAPI document and knows no endpoint by itself. */

type Schema = Record<string, unknown>;
type Parameter = { name: string; in: string; required: boolean; description?: string; schema: Schema };
type Content = Record<string, { schema: Schema }>;
type Operation = {
  tags: string[];
  summary: string;
  description?: string;
  'x-scope': string;
  parameters: Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, { description: string; content?: Content }>;
};

function nameOf(schema: Schema): string {
  const ref = schema.$ref;
  return typeof ref === 'string' ? (ref.split('/').at(-1) ?? 'object') : typeof schema.type === 'string' ? schema.type : 'value';
}

function Body({ title, content }: { title: string; content: Content }) {
  return (
    <>
      {Object.entries(content).map(([type, { schema }]) => (
        <details key={type}>
          <summary>
            {title}: <code>{nameOf(schema)}</code> <small>{type}</small>
          </summary>
          <pre>{JSON.stringify(schema, null, 2)}</pre>
        </details>
      ))}
    </>
  );
}

function Call({ path, method, operation }: { path: string; method: string; operation: Operation }) {
  return (
    <section>
      <h3>
        <code>
          {method.toUpperCase()} {path}
        </code>
      </h3>
      <p>
        {operation.summary}. Scope: <code>{operation['x-scope']}</code>. {operation.description ?? ''}
      </p>
      {operation.parameters.length > 0 && (
        <ul>
          {operation.parameters.map((parameter) => (
            <li key={parameter.name}>
              <code>{parameter.name}</code> ({parameter.in}
              {parameter.required ? ', required' : ''}) {parameter.description ?? ''}
            </li>
          ))}
        </ul>
      )}
      {operation.requestBody && <Body title="Body" content={operation.requestBody.content} />}
      {Object.entries(operation.responses).map(([status, answer]) =>
        answer.content === undefined ? (
          <p key={status}>
            {status}: {answer.description}
          </p>
        ) : (
          <Body key={status} title={status} content={answer.content} />
        ),
      )}
    </section>
  );
}

type Document = { info: { description: string }; paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, Schema> } };

function Reference({ document }: { document: Document }) {
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(calls.flatMap(({ operation }) => operation.tags))];
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Grantry API</title>
        <link rel="stylesheet" href={stylesheet.path} />
      </head>
      <body class="reference-page">
        <main>
          <h1>Grantry API</h1>
          <p>
            {document.info.description} The machine-readable form is <a href="/openapi.json">/openapi.json</a>.
          </p>
          {tags.map((tag) => (
            <section key={tag}>
              <h2>{tag}</h2>
              {calls
                .filter(({ operation }) => operation.tags.includes(tag))
                .map((call) => (
                  <Call key={`${call.method} ${call.path}`} {...call} />
                ))}
            </section>
          ))}
          <section>
            <h2>Shapes</h2>
            {Object.entries(document.components.schemas).map(([name, schema]) => (
              <details key={name}>
                <summary>
                  <code>{name}</code>
                </summary>
                <pre>{JSON.stringify(schema, null, 2)}</pre>
              </details>
            ))}
          </section>
        </main>
      </body>
    </html>
  );
}

/** HTML of the reference. */
export function renderReference(document: Record<string, unknown>): string {
  return renderDocument(<Reference document={document as unknown as Document} />);
}
