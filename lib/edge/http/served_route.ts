/**
 * The routes that HTTP is served for.
 *
 * @module
 */

import type { HttpRoute, RouteSnapshot } from "../snapshot.ts";

/** An L7 route. */
export type ServedRoute = RouteSnapshot & { readonly http: HttpRoute };

/** Tells whether a route is one of L7. */
export function isServed(route: RouteSnapshot): route is ServedRoute {
  return route.http !== undefined;
}
