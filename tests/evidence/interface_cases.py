# ruff: noqa: E501
"""Pairs of TypeScript modules and what the compiler must make of them: one row a change of an interface.

`package_for_legacy` and `legacy_for_package` are True for proven, False for broken, None for inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    legacy: str
    package: str
    package_for_legacy: bool | None
    legacy_for_package: bool | None


def _same(name: str, source: str, expected: bool | None = True) -> Case:
    return Case(name, source, source, expected, expected)


def _deep(name: str, member: str, levels: int = 12, expected: bool | None = False) -> Case:
    """A change far down: the compiler takes what repeats for endless and equal unless told apart."""

    def module(end: str) -> str:
        ends = [*(f"I{level}" for level in range(1, levels)), end]
        interfaces = [
            f"export interface I{n} {{ m{n}{member.replace('NEXT', inner)} }}" for n, inner in enumerate(ends)
        ]
        return "\n".join([*interfaces, "export class S { a(): I0 { return null! } }"])

    return Case(name, module("string"), module("number"), expected, expected)


CASES = (
    _deep("deep methods returning each other", "(): NEXT"),
    _deep("deep promised lists", "(): Promise<NEXT[]>"),
    _deep("deep lists in lists", ": NEXT[]"),
    _deep("deep callbacks", "(f: (x: NEXT) => void): void", levels=9),
    _deep("deeper than the compiler goes", "(): NEXT", levels=40, expected=None),
    _same(
        "identical class",
        "export class S { private x = 1; constructor(private readonly a: string) {} f(x: string): Promise<number> { return Promise.resolve(this.x) } static of(n: number): S { return new S('') } }",
    ),
    Case(
        "removed method", "export class S { f(): void {} g(): void {} }", "export class S { f(): void {} }", False, True
    ),
    Case(
        "narrowed parameter",
        "export class S { f(x: string | number): void {} }",
        "export class S { f(x: string): void {} }",
        False,
        True,
    ),
    Case(
        "widened return",
        "export class S { f(): string { return '' } }",
        "export class S { f(): string | number { return '' } }",
        False,
        True,
    ),
    Case(
        "widened promised return",
        "export class S { f(): Promise<string> { return null! } }",
        "export class S { f(): Promise<string | undefined> { return null! } }",
        False,
        True,
    ),
    Case(
        "result optional to required",
        """
export interface R { a: string; b?: number }
export class S { f(): R { return null! } }
""",
        """
export interface R { a: string; b: number }
export class S { f(): R { return null! } }
""",
        True,
        False,
    ),
    Case(
        "result required to optional",
        """
export interface R { a: string; b: number }
export class S { f(): R { return null! } }
""",
        """
export interface R { a: string; b?: number }
export class S { f(): R { return null! } }
""",
        False,
        True,
    ),
    Case(
        "option optional to required",
        "export class S { f(o: {a: string; b?: number}): void { } }",
        "export class S { f(o: {a: string; b: number}): void { } }",
        False,
        True,
    ),
    Case(
        "parameter optional to required",
        "export class S { f(a: string, b?: number): void { } }",
        "export class S { f(a: string, b: number): void { } }",
        False,
        True,
    ),
    Case(
        "new required ctor arg",
        "export class S { constructor(a: string) {} }",
        "export class S { constructor(a: string, b: number) {} }",
        False,
        False,
    ),
    Case(
        "enum member added",
        """
export enum E { A = 'a', B = 'b' }
export class S { f(e: E): E { return e } }
""",
        """
export enum E { A = 'a', B = 'b', C = 'c' }
export class S { f(e: E): E { return e } }
""",
        False,
        False,
    ),
    Case(
        "enum member removed",
        """
export enum E { A = 'a', B = 'b', C = 'c' }
export class S { f(e: E): E { return e } }
""",
        """
export enum E { A = 'a', B = 'b' }
export class S { f(e: E): E { return e } }
""",
        False,
        False,
    ),
    Case(
        "enum value changed",
        """
export enum E { A = 'a', B = 'b' }
export class S { f(e: E): E { return e } }
""",
        """
export enum E { A = 'a', B = 'x' }
export class S { f(e: E): E { return e } }
""",
        False,
        False,
    ),
    Case(
        "enum number changed",
        """
export enum E { A, B }
export class S { f(e: E): E { return e } }
""",
        """
export enum E { B, A }
export class S { f(e: E): E { return e } }
""",
        False,
        False,
    ),
    _same(
        "enum identical",
        """
export enum E { A, B }
export enum F { A='x', B='y' }
export class S { f(e: E): E { return e }; g(): F {return F.A} }
""",
    ),
    Case(
        "promise to sync",
        "export class S { f(): Promise<number> { return null! } }",
        "export class S { f(): number { return 1 } }",
        False,
        False,
    ),
    Case(
        "promise behind void",
        "export class S { f(): void { } }",
        "export class S { async f(): Promise<void> { } }",
        False,
        False,
    ),
    Case(
        "added optional result field",
        "export class S { f(): {a: string} { return null! } }",
        "export class S { f(): {a: string; b?: number} { return null! } }",
        True,
        False,
    ),
    Case(
        "added optional option",
        "export class S { f(o: {a: string}): void { } }",
        "export class S { f(o: {a: string; b?: number}): void { } }",
        True,
        False,
    ),
    Case(
        "added optional parameter",
        "export class S { f(o: string): void { } }",
        "export class S { f(o: string, p?: string): void { } }",
        True,
        False,
    ),
    Case(
        "removed optional result field",
        "export class S { f(): {a: string; b?: number} { return null! } }",
        "export class S { f(): {a: string} { return null! } }",
        False,
        True,
    ),
    Case(
        "removed optional option",
        "export class S { f(o: {a: string; b?: number}): void { } }",
        "export class S { f(o: {a: string}): void { } }",
        False,
        True,
    ),
    Case(
        "all options optional, one removed",
        "export class S { f(o?: {a?: string; b?: number}): void { } }",
        "export class S { f(o?: {a?: string}): void { } }",
        False,
        True,
    ),
    Case(
        "removed required option",
        "export class S { f(o: {a: string; b: number}): void { } }",
        "export class S { f(o: {a: string}): void { } }",
        False,
        False,
    ),
    Case(
        "removed required field of shared",
        """
export interface R { a: string; b: number }
export class S { f(o: R): R { return o } }
""",
        """
export interface R { a: string }
export class S { f(o: R): R { return o } }
""",
        False,
        False,
    ),
    Case(
        "return to any",
        "export class S { f(): string { return '' } }",
        "export class S { f(): any { return '' } }",
        False,
        False,
    ),
    Case(
        "param to any",
        "export class S { f(x: string): void { } }",
        "export class S { f(x: any): void {  } }",
        False,
        False,
    ),
    Case(
        "nested any",
        "export class S { f(): Promise<{a: {b: string[]}}> { return null! } }",
        "export class S { f(): Promise<{a: {b: any[]}}> { return null! } }",
        False,
        False,
    ),
    Case(
        "any both", "export class S { f(): any { return '' } }", "export class S { f(): any { return '' } }", None, None
    ),
    _same("any both nested", "export class S { f(x: {a: any}): number { return 1 } }", None),
    Case(
        "static removed",
        "export class S { static of(): number { return 1 } f(): void {} }",
        "export class S { f(): void {} }",
        False,
        True,
    ),
    Case(
        "private ctor",
        "export class S { f(): void {} }",
        "export class S { private constructor() {} f(): void {} }",
        False,
        False,
    ),
    _same(
        "private ctor identical",
        "export class S { private constructor() {} f(): void {} static make(): S { return new S() } }",
    ),
    Case(
        "private ctor, method removed",
        "export class S { private constructor() {} f(): void {} g(): void {} }",
        "export class S { private constructor() {} f(): void {} }",
        False,
        True,
    ),
    Case(
        "static create removed",
        "export class S { static create(): S { return new S() } made = 1 }",
        "export class S { made = 1 }",
        False,
        True,
    ),
    _same("abstract identical", "export abstract class S { abstract f(): string; constructor(a: number) {} }"),
    Case(
        "abstract ctor arg",
        "export abstract class S { abstract f(): string; constructor(a: number) {} }",
        "export abstract class S { abstract f(): string; constructor(a: string) {} }",
        False,
        False,
    ),
    Case(
        "concrete to abstract",
        "export class S { f(): string { return '' } }",
        "export abstract class S { abstract f(): string }",
        False,
        False,
    ),
    Case("empty package", "export class S { f(): void {} }", "export {}", False, None),
    _same("type only both", "export interface S { f(): void }", None),
    _same("function export", "export function f(a: string): number { return 1 }"),
    _same("async arrow", "export const f = async (a: string) => ({ n: a.length })"),
    Case(
        "callback arg widened",
        "export function on(f: (e: string) => void): void {}",
        "export function on(f: (e: string | number) => void): void {}",
        False,
        True,
    ),
    Case(
        "callback arg narrowed",
        "export function on(f: (e: string | number) => void): void {}",
        "export function on(f: (e: string) => void): void {}",
        True,
        False,
    ),
    Case(
        "callback result field",
        "export function on(f: () => {a: string; b: number}): void {}",
        "export function on(f: () => {a: string}): void {}",
        False,
        False,
    ),
    _same(
        "overloads identical",
        """
export function f(a: string): string
export function f(a: number, b: boolean): number
export function f(a: unknown): any { return a }
""",
    ),
    Case(
        "overload removed",
        """
export function f(a: string): string
export function f(a: number, b: boolean): number
export function f(a: unknown): any { return a }
""",
        "export function f(a: string): string { return a }",
        False,
        True,
    ),
    Case(
        "overload changed",
        """
export function f(a: string): string
export function f(a: number, b: boolean): number
export function f(a: unknown): any { return a }
""",
        """
export function f(a: string): string
export function f(a: number, b: boolean): string
export function f(a: unknown): any { return a }
""",
        False,
        False,
    ),
    _same(
        "builtins",
        "export class S { f(d: Date, m: Map<string, Set<number>>): Map<string, Date> { return null! } g(b: Uint8Array): RegExp { return null! } h(e: Error): Error { return e } u(x: unknown, o: object): unknown { return o } p(x: PromiseLike<number>): void {} r(x: Record<string, number>): Record<string, Date> {return null!} a(r: ReadonlyArray<string>, t: [string, number?]): readonly string[] { return r } big(b: bigint, s: symbol): bigint { return b } w(): WeakMap<object, string> {return null!} j(): Partial<{a: 1}> {return {}} }",
    ),
    Case(
        "map value narrowed",
        "export class S { f(): Map<string, string> { return null! } }",
        "export class S { f(): Map<string, string|undefined> { return null! } }",
        False,
        True,
    ),
    Case(
        "map arg",
        "export class S { f(m: Map<string, string|number>): void {} }",
        "export class S { f(m: Map<string, string>): void {} }",
        False,
        True,
    ),
    Case(
        "array elem",
        "export class S { f(): {id: string}[] { return null! } }",
        "export class S { f(): {id: number}[] { return null! } }",
        False,
        False,
    ),
    Case(
        "readonly array",
        "export class S { f(): string[] { return null! } }",
        "export class S { f(): readonly string[] { return null! } }",
        False,
        True,
    ),
    Case(
        "date to string",
        "export class S { f(): {at: Date} { return null! } }",
        "export class S { f(): {at: string} { return null! } }",
        False,
        False,
    ),
    _same(
        "recursive",
        """
export interface T { v: string; kids: T[]; up?: T }
export class S { f(t: T): T { return t } }
""",
    ),
    Case(
        "recursive changed",
        """
export interface T { v: string; kids: T[] }
export class S { f(): T { return null! } }
""",
        """
export interface T { v: string | number; kids: T[] }
export class S { f(): T { return null! } }
""",
        False,
        True,
    ),
    _same(
        "generic class",
        "export class Box<T> { constructor(public v: T) {} get(): T { return this.v } map<U>(f: (t: T) => U): Box<U> { return null! } }",
    ),
    _same("generic constraint", "export function f<T extends {id: string}>(t: T): T[] { return [t] }"),
    Case(
        "union literal",
        """
export type K = 'a' | 'b'
export class S { f(k: K): K { return k } }
""",
        """
export type K = 'a' | 'b' | 'c'
export class S { f(k: K): K { return k } }
""",
        False,
        False,
    ),
    Case(
        "union result widened",
        "export class S { f(): 'a' | 'b' { return 'a' } }",
        "export class S { f(): 'a' | 'b' | 'c' { return 'a' } }",
        False,
        True,
    ),
    _same(
        "discriminated",
        """
export type E = {k: 'x', a: string} | {k: 'y', b: number}
export class S { f(e: E): E { return e } }
""",
    ),
    Case(
        "null added",
        "export class S { f(): string { return '' } }",
        "export class S { f(): string | null { return '' } }",
        False,
        True,
    ),
    _same("accessor", "export class S { get a(): string { return '' } set a(v: string) {} }"),
    Case("property removed", "export class S { a = 1; b = 2 }", "export class S { a = 1 }", False, True),
    _same(
        "inheritance",
        """
class B { base(): string { return '' } }
export class S extends B { own(): number { return 1 } }
""",
    ),
    Case(
        "inherited removed",
        """
class B { base(): string { return '' } }
export class S extends B { own(): number { return 1 } }
""",
        "export class S { own(): number { return 1 } }",
        False,
        True,
    ),
    Case(
        "inlined base",
        """
class B { base(): string { return '' } }
export class S extends B { own(): number { return 1 } }
""",
        "export class S { base(): string { return '' } own(): number { return 1 } }",
        True,
        True,
    ),
    _same(
        "error subclass",
        """
export class Bad extends Error { code = 1 }
export class S { f(): Bad { return new Bad() } }
""",
    ),
    _same("default export", "export default class { f(): number { return 1 } }"),
    Case(
        "default changed",
        "export default class { f(): number { return 1 } }",
        "export default class { f(): string { return '' } }",
        False,
        False,
    ),
    Case(
        "class to object",
        "export const api = { f: (x: string) => x.length }",
        """
class A { f(x: string): number { return 1 } }
export const api = new A()
""",
        True,
        True,
    ),
    _same(
        "branded",
        """
export type Id = string & {readonly __id: true}
export function f(x: Id): Id { return x }
""",
    ),
    Case(
        "tuple",
        "export function f(): [string, number] { return null! }",
        "export function f(): [string, number, boolean] { return null! }",
        False,
        False,
    ),
    _same("rest", "export function f(...xs: string[]): void {}"),
    Case(
        "rest to single",
        "export function f(...xs: string[]): void {}",
        "export function f(x: string): void {}",
        False,
        True,
    ),
    _same("this type", "export class S { chain(): this { return this } f(): number { return 1 } }"),
    _same(
        "DI interface",
        """
export interface Store { get(k: string): Promise<string | undefined>; put(k: string, v: string): Promise<void> }
export class S { constructor(s: Store) {} }
""",
    ),
    Case(
        "DI wants more",
        """
export interface Store { get(k: string): Promise<string | undefined> }
export class S { constructor(s: Store) {} }
""",
        """
export interface Store { get(k: string): Promise<string | undefined>; put(k: string): Promise<void> }
export class S { constructor(s: Store) {} }
""",
        False,
        False,
    ),
    Case(
        "DI result",
        """
export interface Store { get(k: string): Promise<string | undefined> }
export class S { constructor(s: Store) {} }
""",
        """
export interface Store { get(k: string): Promise<string> }
export class S { constructor(s: Store) {} }
""",
        False,
        True,
    ),
    _same(
        "class as arg",
        """
export class O { a = 1; private z = 2 }
export class S { f(o: O): void {} g(c: typeof O): void {} }
""",
    ),
    Case(
        "method to void return",
        "export class S { f(): number { return 1 } }",
        "export class S { f(): void { } }",
        False,
        False,
    ),
    _same("never", "export class S { f(): never { throw 1 } }"),
    Case(
        "index signature",
        "export function f(h: {[k: string]: string}): void {}",
        "export function f(h: {[k: string]: string | number}): void {}",
        True,
        False,
    ),
    Case(
        "unknown to any return",
        "export function f(): unknown { return 1 }",
        "export function f(): any { return 1 }",
        True,
        False,
    ),
    _same(
        "const enum",
        """
export const enum E { A = 1 }
export function f(e: E): void {}
""",
        False,
    ),
    Case(
        "renamed parameter",
        "export function f(a: string): void {}",
        "export function f(b: string): void {}",
        True,
        True,
    ),
    Case(
        "namespace",
        "export namespace N { export function f(): number { return 1 } }",
        "export namespace N { export function f(): string { return '' } }",
        False,
        False,
    ),
    Case(
        "map subclass",
        """
export class M extends Map<string, number> { total(): number { return 1 } }
export class S { f(): M { return null! } }
""",
        "export class S { f(): Map<string, number> { return null! } }",
        False,
        False,
    ),
    Case(
        "thenable with more",
        """
export interface Q { where(x: string): Q; then<A>(f: (v: string) => A): Promise<A> }
export class S { f(): Q { return null! } }
""",
        """
export interface Q { then<A>(f: (v: string) => A): Promise<A> }
export class S { f(): Q { return null! } }
""",
        False,
        True,
    ),
    Case(
        "deep methods",
        """
export interface A { b(): B }
interface B { c(): C }
interface C { d(): D }
interface D { e(): E }
interface E { f(): F }
interface F { g(): string }
export class S { a(): A { return null! } }
""",
        """
export interface A { b(): B }
interface B { c(): C }
interface C { d(): D }
interface D { e(): E }
interface E { f(): F }
interface F { g(): number }
export class S { a(): A { return null! } }
""",
        False,
        False,
    ),
    Case(
        "deep lists",
        "export class S { a(): {b: {c: {d: {e: string[]}[]}[]}[]}[] { return null! } }",
        "export class S { a(): {b: {c: {d: {e: number[]}[]}[]}[]}[] { return null! } }",
        False,
        False,
    ),
)
