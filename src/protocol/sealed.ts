const sealed = '[sealed]';

/** Something secret. It prints, logs and serialises as `[sealed]`; `reveal()` is the one way to it. */
export class Sealed<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
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
