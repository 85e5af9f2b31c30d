const sealed = '[sealed]';

/** A secret text outside a credential. It prints, logs and serialises as `[sealed]`; `reveal()` is the one way to it. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toJSON(): string {
    return sealed;
  }

  toString(): string {
    return sealed;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return sealed;
  }
}
