// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// A request's body, as one value that PostgreSQL takes apart.
enum Payload: Sendable {
    /// JSON text: an object or an array of objects, with the keys that all of them have, and how many objects.
    case json(bytes: [UInt8], isArray: Bool, keys: [String], rowCount: Int)
    /// The fields of a form, as arguments of a function.
    case form([QueryParameters.Argument])
    /// Anything else, for the single unnamed parameter of a function.
    case raw([UInt8])

    /// Parses a body by its media type.
    ///
    /// - Parameters:
    ///   - columns: the columns named by the request, which make the keys of JSON objects irrelevant.
    ///   - isCall: whether it is for a function, which takes any JSON and raw bodies too.
    /// - Throws: ``RESTError`` `invalidBody`.
    init(_ body: [UInt8], contentType: MediaType, columns: [String]?, isCall: Bool) throws(RESTError) {
        switch contentType {
        case .json, .any, .object, .strippedArray:
            self = try Self.parseJSON(body, columns: columns, isCall: isCall)
        case .form:
            let fields = FormFields(query: String(decoding: body, as: UTF8.self))
            guard fields.isComplete else { throw .invalidBody("A field of the form is not percent-encoded UTF-8") }
            if isCall {
                self = .form(fields.all.map { QueryParameters.Argument(name: $0.name, value: $0.value) })
                return
            }
            var members = JSONObject()
            for (name, value) in fields.all { members[name] = .string(value) }
            self = .json(
                bytes: JSON.object(members).encoded(), isArray: false, keys: members.names, rowCount: 1)
        case .csv: self = try Self.parseCSV(body)
        case .plainText, .xml, .octets:
            guard isCall else { throw Self.unacceptable(contentType) }
            self = .raw(body)
        case .geoJSON, .plan, .openAPI, .other: throw Self.unacceptable(contentType)
        }
    }

    private static func unacceptable(_ type: MediaType) -> RESTError {
        .invalidBody("Content-Type not acceptable: \(type.name)")
    }

    private static func parseJSON(
        _ body: [UInt8], columns: [String]?, isCall: Bool
    ) throws(RESTError) -> Payload {
        // A call without a body is a call without arguments.
        if isCall, body.isEmpty {
            return .json(bytes: Array("{}".utf8), isArray: false, keys: [], rowCount: 1)
        }
        guard let value = try? JSON(parsing: body) else { throw .invalidBody("Empty or invalid json") }
        switch value {
        case .object(let members):
            return .json(bytes: body, isArray: false, keys: columns ?? members.names, rowCount: 1)
        case .array(let elements):
            if let columns {
                return .json(bytes: body, isArray: true, keys: columns, rowCount: elements.count)
            }
            guard let first = elements.first else {
                return .json(bytes: body, isArray: true, keys: [], rowCount: 0)
            }
            let keys = first.objectValue?.names
            let expected = Set(keys ?? [])
            for element in elements {
                guard let members = element.objectValue, members.count == expected.count,
                    members.allSatisfy({ expected.contains($0.name) })
                else {
                    // An array that is no list of rows may still be the whole argument of a function.
                    if isCall { return .json(bytes: body, isArray: true, keys: [], rowCount: elements.count) }
                    throw .invalidBody("All object keys must match")
                }
            }
            return .json(bytes: body, isArray: true, keys: keys ?? [], rowCount: elements.count)
        case .null, .bool, .number, .string:
            // A scalar can only be the whole argument of a function.
            guard isCall else { throw .invalidBody("Empty or invalid json") }
            return .json(bytes: body, isArray: false, keys: [], rowCount: 1)
        }
    }

    /// CSV with a header line (RFC 4180) as an array of objects; the bare word NULL is null.
    private static func parseCSV(_ body: [UInt8]) throws(RESTError) -> Payload {
        guard let rows = CSV.parse(body), let header = rows.first else { throw .invalidBody("Empty or invalid csv") }
        var elements: [JSON] = []
        for row in rows.dropFirst() {
            guard row.count == header.count else { throw .invalidBody("All lines must have same number of fields") }
            elements.append(
                .object(JSONObject(zip(header, row).map { ($0, $1 == "NULL" ? JSON.null : JSON.string($1)) })))
        }
        return .json(
            bytes: JSON.array(elements).encoded(), isArray: true, keys: header, rowCount: elements.count)
    }
}

/// Reads comma-separated values (RFC 4180).
enum CSV {
    /// The fields of each line; nil where a quoted field does not end or text follows its end. An empty last line is none.
    static func parse(_ bytes: [UInt8]) -> [[String]]? {
        var rows: [[String]] = []
        var row: [String] = []
        var field: [UInt8] = []
        var index = 0
        var endsRow = true
        while index < bytes.count {
            endsRow = false
            if bytes[index] == UInt8(ascii: "\""), field.isEmpty {
                guard let end = quoted(bytes, from: index + 1, into: &field) else { return nil }
                index = end
            }
            guard index < bytes.count else { break }
            switch bytes[index] {
            case UInt8(ascii: ","):
                row.append(String(decoding: field, as: UTF8.self))
                field = []
            case UInt8(ascii: "\n"):
                if field.last == UInt8(ascii: "\r") { field.removeLast() }
                row.append(String(decoding: field, as: UTF8.self))
                rows.append(row)
                row = []
                field = []
                endsRow = true
            case let byte: field.append(byte)
            }
            index += 1
        }
        if !endsRow {
            row.append(String(decoding: field, as: UTF8.self))
            rows.append(row)
        }
        return rows
    }

    /// Reads a quoted field's inside; returns the offset behind the closing quote.
    private static func quoted(_ bytes: [UInt8], from start: Int, into field: inout [UInt8]) -> Int? {
        var index = start
        while index < bytes.count {
            if bytes[index] != UInt8(ascii: "\"") {
                field.append(bytes[index])
            } else if index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "\"") {
                field.append(bytes[index])
                index += 1
            } else {
                let ends = index + 1 == bytes.count || [",", "\n", "\r"].contains(Unicode.Scalar(bytes[index + 1]))
                return ends ? index + 1 : nil
            }
            index += 1
        }
        return nil
    }
}
