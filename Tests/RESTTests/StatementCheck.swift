// SPDX-License-Identifier: Apache-2.0

/// Looks at the text of a statement for anything a client could have brought in: all that stands bare is a word of the writer's own, all
/// that stands in single quotes one of its own texts, and everything else is a quoted identifier or a bind.
///
/// Used by the tests and, compiled beside it, by the fuzzer.
struct StatementCheck {
    /// What the writer, and types and functions of the schema the check is run with, may say bare.
    private static let words: Set<String> = [
        "all", "and", "any", "array", "array_agg", "as", "asc", "avg", "bigint", "by", "cast", "coalesce", "conflict",
        "count",
        "current_setting", "default", "delete", "desc", "distinct", "do", "e", "excluded", "exists", "explain", "false",
        "first",
        "format",
        "from", "generate_series", "group", "ilike", "in", "inner", "insert", "int", "integer", "into", "is", "join",
        "json",
        "json_agg", "json_build_array", "json_build_object", "json_each_text", "json_object_keys", "json_strip_nulls",
        "json_to_record", "json_to_recordset", "jsonb", "jsonb_agg", "jsonb_array_elements", "jsonb_build_object",
        "jsonb_to_record", "jsonb_to_recordset", "last", "lateral", "left", "length", "like", "limit", "max", "min",
        "not",
        "nothing", "null", "nullif", "nulls", "offset", "on", "or", "order", "phraseto_tsquery", "plainto_tsquery",
        "regconfig", "returning", "row", "row_to_json", "select", "set", "set_config", "st_asgeojson", "string_agg",
        "substring", "sum", "text", "to_jsonb", "to_tsquery", "to_tsvector", "true", "tsvector", "unknown", "unnest",
        "update",
        "uuid", "values", "variadic", "websearch_to_tsquery", "where", "with",
        // Types that casts spell as SQL does.
        "bit", "boolean", "char", "character", "dec", "decimal", "double", "float", "interval", "national", "nchar",
        "numeric",
        "precision", "real", "smallint", "time", "timestamp", "varchar", "varying", "without", "zone",
        // Options of `explain`.
        "analyze", "buffers", "settings", "verbose", "wal",
    ]

    private static let texts: Set<String> = [
        "response.headers", "response.status", "atoll.rest_updated", "", "[]", "null", "0", ",", "\\n", "key", "value",
        "type",
        "FeatureCollection", "features",
    ]

    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0
    private var binds: Set<Int> = []

    /// - Returns: what is wrong with the statement, nil for nothing.
    static func problem(in sql: String, parameterCount: Int) -> String? {
        var check = StatementCheck(sql)
        if let problem = check.run() { return "\(problem): \(sql)" }
        guard check.depth == 0 else { return "parentheses do not match: \(sql)" }
        guard check.binds == Set(1..<(parameterCount + 1)) else {
            return "binds \(check.binds) of \(parameterCount): \(sql)"
        }
        return nil
    }

    private init(_ sql: String) { bytes = Array(sql.utf8) }

    private mutating func run() -> String? {
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                guard quoted(byte) != nil else { return "an identifier without end" }
            case UInt8(ascii: "'"):
                guard let text = quoted(byte) else { return "a text without end" }
                guard Self.texts.contains(text) else { return "a text of somebody else's, \(text)" }
            case UInt8(ascii: "$"):
                position += 1
                guard let number = Int(run(while: Self.isDigit)) else { return "a bind without number" }
                binds.insert(number)
            case UInt8(ascii: "("):
                depth += 1
                position += 1
            case UInt8(ascii: ")"):
                depth -= 1
                position += 1
                guard depth >= 0 else { return "a parenthesis too many" }
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                // Limits and places; a word may not follow.
                _ = run(while: Self.isDigit)
                if position < bytes.count, Self.isLetter(bytes[position]) { return "a number that goes on" }
            case _ where Self.isLetter(byte):
                let word = run { Self.isLetter($0) || Self.isDigit($0) }
                guard Self.words.contains(word.lowercased()) else { return "a bare word, \(word)" }
            case UInt8(ascii: ";"), UInt8(ascii: "\\"), 0: return "a byte that ends or escapes"
            case UInt8(ascii: "-") where position + 1 < bytes.count && bytes[position + 1] == byte:
                return "a comment"
            case UInt8(ascii: "/") where position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "*"):
                return "a comment"
            case 0x80...: return "a bare byte beyond ASCII"
            default: position += 1
            }
        }
        return nil
    }

    /// Takes what is quoted, with doubled quotes for one; nil where it does not end.
    private mutating func quoted(_ quote: UInt8) -> String? {
        position += 1
        var text: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if byte == 0 { return nil }
            if byte == quote {
                guard position < bytes.count, bytes[position] == quote else {
                    return String(decoding: text, as: UTF8.self)
                }
                position += 1
            }
            text.append(byte)
        }
        return nil
    }

    private mutating func run(while condition: (UInt8) -> Bool) -> String {
        let start = position
        while position < bytes.count, condition(bytes[position]) { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

    private static func isLetter(_ byte: UInt8) -> Bool {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || byte == UInt8(ascii: "_")
    }
}
