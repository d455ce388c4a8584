// SPDX-License-Identifier: Apache-2.0

/// Answers one request.
package typealias HTTPHandler = @Sendable (HTTPRequest) async throws -> HTTPResponse

/// Turns what a handler threw into the response of its service.
package typealias HTTPErrorMapping = @Sendable (any Error, HTTPRequest) -> HTTPResponse

/// A route as the server uses it.
struct Route: Sendable {
    let handler: HTTPHandler
    let errors: HTTPErrorMapping
    let maxBodyBytes: Int?
    /// The pattern, for logs and metrics: it has few values where paths have endlessly many.
    let pattern: String
}

/// Finds the handler for a method and a path: a trie by path segment, in which a literal segment is preferred to a
/// parameter and a parameter to a rest.
///
/// Patterns: `/auth/v1/user`, `/rest/v1/:table`, `/files/*path` (one or more segments). Segments are compared as sent,
/// percent-encoding included; a trailing slash makes another path.
package struct Router: Sendable {
    private struct Node: Sendable {
        var literals: [(segment: [UInt8], node: Int)] = []
        var parameter: Int?
        var routes: [(method: HTTPMethod, route: Route, names: [String])] = []
        var restRoutes: [(method: HTTPMethod, route: Route, names: [String])] = []
    }
    private struct Group: Sendable {
        var prefix: [UInt8]
        var errors: HTTPErrorMapping
    }
    private var nodes: [Node] = [Node()]
    private var groups: [Group] = []
    private var currentErrors: HTTPErrorMapping
    /// What is done before the handlers of routes added from now on; nil for nothing.
    package var preparation: (@Sendable (HTTPRequest) async -> Void)?
    /// Asked before the handlers of routes added from now on, after ``preparation``; what it answers is the response. Nil lets all pass.
    package var admission: (@Sendable (HTTPRequest) -> HTTPResponse?)?
    /// Which browsers' pages may call, and how; nil adds no CORS fields.
    package var cors: CORSPolicy?

    /// All routes that were added, for pages and tests that list them.
    package var listing: [(method: HTTPMethod, pattern: String)] {
        nodes.flatMap { node in (node.routes + node.restRoutes).map { ($0.method, $0.route.pattern) } }
    }

    /// An empty router. What no group maps is answered in the plain JSON form of ``HTTPError``.
    package init() {
        currentErrors = { error, _ in
            (error as? HTTPError ?? HTTPError(.internalServerError)).response
        }
    }

    /// Adds a route.
    ///
    /// - Parameters:
    ///   - pattern: begins with `/`.
    ///   - maxBodyBytes: the largest body taken; the server's default when nil.
    package mutating func on(
        _ method: HTTPMethod, _ pattern: String, maxBodyBytes: Int? = nil, _ handler: @escaping HTTPHandler
    ) {
        precondition(pattern.utf8.first == UInt8(ascii: "/"), "a pattern begins with /")
        var node = 0
        var names: [String] = []
        let route = Route(
            handler: prepared(handler), errors: currentErrors, maxBodyBytes: maxBodyBytes, pattern: pattern)
        let segments = pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for segment in segments {
            if segment.first == "*" {
                precondition(segment == segments.last ?? "", "a rest stands last")
                names.append(String(segment.dropFirst()))
                nodes[node].restRoutes.append((method, route, names))
                return
            }
            if segment.first == ":" {
                names.append(String(segment.dropFirst()))
                node = parameterChild(of: node)
            } else {
                node = literalChild(of: node, Array(segment.utf8))
            }
        }
        precondition(!nodes[node].routes.contains { $0.method == method }, "two routes for \(method) \(pattern)")
        nodes[node].routes.append((method, route, names))
    }

    private func prepared(_ handler: @escaping HTTPHandler) -> HTTPHandler {
        let admitted: HTTPHandler
        if let admission {
            admitted = { request in
                if let refusal = admission(request) { return refusal }
                return try await handler(request)
            }
        } else {
            admitted = handler
        }
        guard let preparation else { return admitted }
        return { request in
            await preparation(request)
            return try await admitted(request)
        }
    }

    /// Gives all routes that `build` adds, and every unknown path under `prefix`, one way of answering errors.
    package mutating func group(
        _ prefix: String, errors: @escaping HTTPErrorMapping, _ build: (inout Router) -> Void
    ) {
        let outer = currentErrors
        currentErrors = errors
        groups.append(Group(prefix: Array(prefix.utf8), errors: errors))
        build(&self)
        currentErrors = outer
    }

    private mutating func parameterChild(of node: Int) -> Int {
        if let child = nodes[node].parameter { return child }
        nodes.append(Node())
        nodes[node].parameter = nodes.count - 1
        return nodes.count - 1
    }

    private mutating func literalChild(of node: Int, _ segment: [UInt8]) -> Int {
        if let child = nodes[node].literals.first(where: { $0.segment == segment }) { return child.node }
        nodes.append(Node())
        nodes[node].literals.append((segment, nodes.count - 1))
        return nodes.count - 1
    }

    // MARK: Calls within the process

    /// Answers a request that came from no connection, as the server would: with the route's handler and its group's way of
    /// answering errors.
    package func respond(to request: HTTPRequest) async -> HTTPResponse {
        switch request.withPathBytes({ match(request.method, $0) }) {
        case .route(let route, let parameters):
            var request = request
            request.parameters = parameters
            do { return try await route.handler(request) } catch { return route.errors(error, request) }
        case .wrongMethod(_, let errors): return errors(HTTPError(.methodNotAllowed), request)
        case .unknown(let errors): return errors(HTTPError(.notFound), request)
        }
    }

    // MARK: Lookup

    enum Match {
        case route(Route, PathParameters)
        /// The path is known, the method is not: the methods that are.
        case wrongMethod(allowed: [HTTPMethod], errors: HTTPErrorMapping)
        case unknown(errors: HTTPErrorMapping)
    }

    /// The route for a path of raw bytes. A HEAD request without a route of its own gets the one for GET.
    func match(_ method: HTTPMethod, _ path: UnsafeRawBufferPointer) -> Match {
        var captures: [Range<Int>] = []
        var allowed: [HTTPMethod] = []
        guard path.first == UInt8(ascii: "/") else { return .unknown(errors: errors(for: path)) }
        if let found = find(method, in: path, at: 1, node: 0, &captures, &allowed) {
            var parameters = PathParameters()
            for (name, range) in zip(found.names, captures) {
                parameters.append(name, String(decoding: path[range], as: UTF8.self))
            }
            return .route(found.route, parameters)
        }
        if allowed.isEmpty { return .unknown(errors: errors(for: path)) }
        return .wrongMethod(allowed: Self.completed(allowed), errors: errors(for: path))
    }

    /// The methods a path answers to; empty when the path is unknown.
    func methods(for path: UnsafeRawBufferPointer) -> [HTTPMethod] {
        // No route is registered under an empty method, so the search visits all of them.
        guard case .wrongMethod(let allowed, _) = match(HTTPMethod(rawValue: ""), path) else { return [] }
        return allowed
    }

    private static func completed(_ methods: [HTTPMethod]) -> [HTTPMethod] {
        var unique: [HTTPMethod] = []
        for method in methods where !unique.contains(method) { unique.append(method) }
        if unique.contains(.get), !unique.contains(.head) { unique.append(.head) }
        if !unique.contains(.options) { unique.append(.options) }
        return unique
    }

    private func errors(for path: UnsafeRawBufferPointer) -> HTTPErrorMapping {
        let matching = groups.filter { group in
            path.starts(with: group.prefix)
                && (path.count == group.prefix.count || path[group.prefix.count] == UInt8(ascii: "/"))
        }
        return matching.max { $0.prefix.count < $1.prefix.count }?.errors ?? currentErrors
    }

    private func find(
        _ method: HTTPMethod, in path: UnsafeRawBufferPointer, at start: Int, node: Int,
        _ captures: inout [Range<Int>], _ allowed: inout [HTTPMethod]
    ) -> (route: Route, names: [String])? {
        var end = start
        while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
        let segment = UnsafeRawBufferPointer(rebasing: path[start..<end])
        let isLast = end == path.count

        for literal in nodes[node].literals where Self.equal(literal.segment, segment) {
            let found =
                isLast
                ? pick(method, nodes[literal.node].routes, &allowed)
                : find(method, in: path, at: end + 1, node: literal.node, &captures, &allowed)
            if let found { return found }
        }
        if let child = nodes[node].parameter, !segment.isEmpty {
            captures.append(start..<end)
            let found =
                isLast
                ? pick(method, nodes[child].routes, &allowed)
                : find(method, in: path, at: end + 1, node: child, &captures, &allowed)
            if let found { return found }
            captures.removeLast()
        }
        if start < path.count, let found = pick(method, nodes[node].restRoutes, &allowed) {
            captures.append(start..<path.count)
            return found
        }
        return nil
    }

    private static func equal(_ literal: [UInt8], _ segment: UnsafeRawBufferPointer) -> Bool {
        literal.count == segment.count && literal.elementsEqual(segment)
    }

    private func pick(
        _ method: HTTPMethod, _ routes: [(method: HTTPMethod, route: Route, names: [String])],
        _ allowed: inout [HTTPMethod]
    ) -> (route: Route, names: [String])? {
        var viaGet: (route: Route, names: [String])?
        for entry in routes {
            if entry.method == method { return (entry.route, entry.names) }
            if method == .head, entry.method == .get { viaGet = (entry.route, entry.names) }
            allowed.append(entry.method)
        }
        return viaGet
    }
}
