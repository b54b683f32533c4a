// Finds the route of a request: /v1/orders/:id against the path's segments.
import { RequestError } from './request-error.ts';

/** Who may call: anybody, holders of a key, holders of a key that may trade, the operator. */
export type Access = 'public' | 'read' | 'trade' | 'admin';

export interface Principal {
  readonly key: string;
  readonly account: string;
  readonly access: Access;
}

export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The JSON object that came, {} without one. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The caller's account; '' on public routes. */
  readonly account: string;
}

export interface Reply {
  readonly status: number;
  /** Written as JSON, unless it is text of another type. */
  readonly body: unknown;
  readonly type?: string;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly access: Access;
  /** Whether a body may come. */
  readonly takesBody: boolean;
  readonly answer: (call: Call) => Promise<Reply> | Reply;
}

export interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

export class Router {
  readonly #routes: readonly { readonly route: Route; readonly segments: readonly string[] }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, segments: route.path.split('/') }));
  }

  get routes(): readonly Route[] {
    return this.#routes.map(({ route }) => route);
  }

  /** Throws 404 where no route has this path, 405 where none has the method. */
  find(method: string, path: string): Found {
    const segments = path.split('/');
    const fitting = this.#routes.filter((one) => fits(one.segments, segments));
    if (fitting.length === 0)
      throw new RequestError(404, 'UNKNOWN_ROUTE', `there is no ${path.slice(0, 100)}`);
    const wanted = method === 'HEAD' ? 'GET' : method;
    const found = fitting.find(({ route }) => route.method === wanted);
    if (found === undefined) {
      const allowed = fitting.map(({ route }) => route.method).join(', ');
      throw new RequestError(405, 'METHOD_NOT_ALLOWED', `${path.slice(0, 100)} takes ${allowed}`);
    }
    const params: Record<string, string> = {};
    found.segments.forEach((segment, index) => {
      if (segment.startsWith(':')) params[segment.slice(1)] = decoded(segments[index] ?? '');
    });
    return { route: found.route, params };
  }
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, index) =>
    part.startsWith(':') ? segments[index] !== '' : part === segments[index],
  );
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new RequestError(400, 'INVALID_PATH', 'the path has a broken percent escape');
  }
}
