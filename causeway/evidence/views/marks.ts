// What all copies of views.ts share: names that no code under check can have.
export declare const keys: unique symbol;
export declare const made: unique symbol;
export declare const construct: unique symbol;
export declare const call: unique symbol;
export declare const promised: unique symbol;
export declare const elements: unique symbol;
export declare const kept: unique symbol;
export declare const nothing: unique symbol;
export declare const anyOfLegacy: unique symbol;
export declare const anyOfPackage: unique symbol;

/** `any` as one side says it. Two of them, so that `any` against `any` proves nothing. */
export interface AnyOfLegacy { readonly [anyOfLegacy]: true }
export interface AnyOfPackage { readonly [anyOfPackage]: true }

/** `undefined` or `void` as something that `-?` does not strip, and behind which no Promise hides. */
export interface Undefined { readonly [nothing]: true }

/** Fits nothing that a module really exports; what it fits has degraded to something anything fits. */
export interface Stray { readonly stray: true }
