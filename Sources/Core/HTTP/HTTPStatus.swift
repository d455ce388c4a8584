// SPDX-License-Identifier: Apache-2.0

/// A status code (RFC 9110 section 15) with its reason phrase.
package struct HTTPStatus: Hashable, Sendable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    /// Three digits, 100 to 599 in what we send.
    package let code: Int

    package init(code: Int) { self.code = code }
    package init(integerLiteral value: Int) { code = value }

    package static var ok: HTTPStatus { 200 }
    package static var created: HTTPStatus { 201 }
    package static var accepted: HTTPStatus { 202 }
    package static var noContent: HTTPStatus { 204 }
    package static var seeOther: HTTPStatus { 303 }
    package static var notModified: HTTPStatus { 304 }
    package static var badRequest: HTTPStatus { 400 }
    package static var unauthorized: HTTPStatus { 401 }
    package static var forbidden: HTTPStatus { 403 }
    package static var notFound: HTTPStatus { 404 }
    package static var methodNotAllowed: HTTPStatus { 405 }
    package static var requestTimeout: HTTPStatus { 408 }
    package static var conflict: HTTPStatus { 409 }
    package static var preconditionFailed: HTTPStatus { 412 }
    package static var contentTooLarge: HTTPStatus { 413 }
    package static var rangeNotSatisfiable: HTTPStatus { 416 }
    package static var unprocessableContent: HTTPStatus { 422 }
    package static var tooManyRequests: HTTPStatus { 429 }
    package static var internalServerError: HTTPStatus { 500 }
    package static var serviceUnavailable: HTTPStatus { 503 }

    package var description: String { "\(code) \(reason)" }

    /// Whether a response with this status has no body, whatever its headers say (RFC 9110 section 6.4.1).
    package var forbidsBody: Bool { code == 204 || code == 304 || code < 200 }

    /// The phrase of the IANA registry; "Status" for a code that is not in it.
    package var reason: String {
        switch code {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 203: "Non-Authoritative Information"
        case 204: "No Content"
        case 205: "Reset Content"
        case 206: "Partial Content"
        case 207: "Multi-Status"
        case 300: "Multiple Choices"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 402: "Payment Required"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 407: "Proxy Authentication Required"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 423: "Locked"
        case 424: "Failed Dependency"
        case 425: "Too Early"
        case 426: "Upgrade Required"
        case 428: "Precondition Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 451: "Unavailable For Legal Reasons"
        case 460: "Checksum Mismatch"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Status"
        }
    }
}
