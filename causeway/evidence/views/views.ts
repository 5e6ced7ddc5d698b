// A module's surface as two views that plain assignment compares soundly. Every side and depth has a textual copy of
// this file: with one alias for both sides the compiler compares by variance and misses changes, and what nests three
// times through one declaration it takes for endless and equal. `deeper.ts` is the next depth's copy.
import type { AnyOfLegacy, Undefined, call, construct, elements, kept, keys, made, promised } from "./marks.ts";
import type { In as DeepIn, Out as DeepOut } from "./deeper.ts";

type Any = AnyOfLegacy;
type Plain = string | number | bigint | boolean | symbol | null;
type Callable = (...a: never) => unknown;
type Class = abstract new (...a: never) => unknown;
type List = readonly unknown[];
type Statics<T> = Omit<T, "prototype">;
type Made<T> = T extends new (...a: never) => unknown ? "new" : "abstract";

// What the standard library says with `any` inside is compared by what it holds, or by its name; only where it is
// exactly that type, and no subclass with more to it.
type Whole = Date | RegExp | Error | ArrayBuffer | DataView | Uint8Array;
type Exactly<T, U = Whole> = U extends unknown ? T extends U ? U extends T ? true : never : never : never;
type Kept<T, Mutable> = T extends Mutable ? "mutable" : "mutable" | "readonly";
type Eventual<T> = T extends Promise<unknown> ? "promise" : "promise" | "thenable";

/** What a provider hands out: optional fields made present, so that one which is gone or new is seen. */
export type Out<T> =
  0 extends 1 & T ? Any
  : T extends void ? Undefined
  : T extends Plain ? T
  : T extends Callable ? { readonly [call]: OutCalls<T> } & OutFields<T>
  : T extends Class ? { readonly [made]: Made<T>; readonly [construct]: OutNews<T> } & OutFields<Statics<T>>
  : T extends { readonly prototype: infer I }
    ? { readonly [made]: "private"; readonly [construct]: DeepOut<I> } & OutFields<Statics<T>>
  : T extends PromiseLike<infer V>
    ? Promise<V> extends T ? { readonly [promised]: DeepOut<V>; readonly [kept]: Eventual<T> } : OutFields<T>
  : T extends List
    ? T[number][] extends T ? { readonly [elements]: DeepOut<T[number]>; readonly [kept]: Kept<T, unknown[]> } : OutEach<T>
  : T extends ReadonlyMap<infer I, infer V>
    ? Map<I, V> extends T
      ? { readonly [keys]: DeepOut<I>; readonly [elements]: DeepOut<V>; readonly [kept]: Kept<T, Map<I, V>> } : OutFields<T>
  : T extends ReadonlySet<infer V>
    ? Set<V> extends T ? { readonly [elements]: DeepOut<V>; readonly [kept]: Kept<T, Set<V>> } : OutFields<T>
  : [keyof T] extends [never] ? T
  : true extends Exactly<T> ? T
  : OutFields<T>;
type OutFields<T> = { [K in keyof T]-?: DeepOut<T[K]> };
type OutEach<T extends List> = { [K in keyof T]: DeepOut<T[K]> };

/** What a provider takes in: with the names it knows, so that one which it would ignore is seen. */
export type In<T> =
  0 extends 1 & T ? Any
  : T extends void ? Undefined
  : T extends Plain ? T
  : T extends Callable ? { readonly [call]: InCalls<T> } & InFields<T>
  : T extends Class ? { readonly [made]: Made<T>; readonly [construct]: InNews<T> } & InFields<Statics<T>>
  : T extends PromiseLike<infer V>
    ? Promise<V> extends T ? { readonly [promised]: DeepIn<V>; readonly [kept]: Eventual<T> } : InFields<T>
  : T extends List
    ? T[number][] extends T ? { readonly [elements]: DeepIn<T[number]>; readonly [kept]: Kept<T, unknown[]> } : InEach<T>
  : T extends ReadonlyMap<infer I, infer V>
    ? Map<I, V> extends T
      ? { readonly [keys]: DeepIn<I>; readonly [elements]: DeepIn<V>; readonly [kept]: Kept<T, Map<I, V>> } : InFields<T>
  : T extends ReadonlySet<infer V>
    ? Set<V> extends T ? { readonly [elements]: DeepIn<V>; readonly [kept]: Kept<T, Set<V>> } : InFields<T>
  : [keyof T] extends [never] ? T
  : true extends Exactly<T> ? T
  : InFields<T>;
type InFields<T> = { [K in keyof T]: DeepIn<T[K]> } & { readonly [keys]?: keyof T };
type InEach<T extends List> = { [K in keyof T]: DeepIn<T[K]> };

// One tuple instead of parameters: those of methods are compared both ways, and surplus ones not at all.
type Gives<A extends List, R> = (a: InEach<A>) => DeepOut<R>;
type Takes<A extends List, R> = (a: OutEach<A>) => DeepIn<R>;

type OutCalls<T> = T extends Calls<infer A, infer R, infer B, infer S, infer C, infer U, infer D, infer V>
  ? Gives<A, R> & Gives<B, S> & Gives<C, U> & Gives<D, V> : never;
type InCalls<T> = T extends Calls<infer A, infer R, infer B, infer S, infer C, infer U, infer D, infer V>
  ? Takes<A, R> & Takes<B, S> & Takes<C, U> & Takes<D, V> : never;
type OutNews<T> = T extends News<infer A, infer R, infer B, infer S, infer C, infer U, infer D, infer V>
  ? Gives<A, R> & Gives<B, S> & Gives<C, U> & Gives<D, V>
  : T extends abstract new (...a: infer A) => infer R ? Gives<A, R> : never;
type InNews<T> = T extends News<infer A, infer R, infer B, infer S, infer C, infer U, infer D, infer V>
  ? Takes<A, R> & Takes<B, S> & Takes<C, U> & Takes<D, V>
  : T extends abstract new (...a: infer A) => infer R ? Takes<A, R> : never;

// Four overloads; fewer are repeated by inference, of more the last four are seen.
type Calls<A extends List, R, B extends List, S, C extends List, U, D extends List, V> =
  { (...a: A): R; (...a: B): S; (...a: C): U; (...a: D): V };
type News<A extends List, R, B extends List, S, C extends List, U, D extends List, V> =
  { new (...a: A): R; new (...a: B): S; new (...a: C): U; new (...a: D): V };
