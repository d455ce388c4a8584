// SPDX-License-Identifier: Apache-2.0
import HTTP

/// Which part of a list is asked for, by number.
struct Page: Sendable, Hashable {
    static let maxSize = 1000

    /// From 1.
    let number: Int
    let size: Int

    /// - Throws: `validationFailed` for numbers below 1 or of more than nine digits.
    init(_ query: FormFields, defaultSize: Int = 50) throws(AuthError) {
        number = try Self.read(query, "page") ?? 1
        size = min(try Self.read(query, "per_page") ?? defaultSize, Self.maxSize)
    }

    private static func read(_ query: FormFields, _ name: String) throws(AuthError) -> Int? {
        guard let text = query.first(name), !text.isEmpty, text != "0" else { return nil }
        guard let value = Int(text), (1...999_999_999).contains(value) else {
            throw AuthError(.validationFailed, "Bad Pagination Parameters: \(name) must be a positive integer")
        }
        return value
    }

    var offset: Int { (number - 1) * size }

    /// Adds `X-Total-Count`, and `Link` to the next and the last page, which carry the request's other parameters. The
    /// number of the page stands first: clients look for it there.
    func annotate(_ response: inout HTTPResponse, of request: HTTPRequest, total: Int) {
        response.headers.append("X-Total-Count", String(total))
        let last = max(1, (total + size - 1) / size)
        let others = FormFields(query: request.query ?? "").all.filter {
            !["page", "per_page", "apikey"].contains($0.name)
        }
        func link(to page: Int, _ relation: String) -> String {
            let pairs = [("page", String(page)), ("per_page", String(size))] + others.map { ($0.name, $0.value) }
            let query = FormFields.encode(pairs.map { (name: $0.0, value: $0.1) })
            return "<\(request.path)?\(query)>; rel=\"\(relation)\""
        }
        var links: [String] = []
        if number < last { links.append(link(to: number + 1, "next")) }
        links.append(link(to: last, "last"))
        response.headers.append("Link", links.joined(separator: ", "))
    }
}
