// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension RowMaker {
    /// The conditions that a column must satisfy with others or alone.
    static func conditions(on column: Catalog.Column, in table: Catalog.Relation) -> [SQLExpression] {
        column.domainConditions
            + (table.checks.values + [table.partitionCondition].compactMap { $0 }).filter { $0.mentions(column.name) }
            .sorted { $0.text < $1.text }
    }

    func isText(_ column: Catalog.Column) -> Bool { Self.isText(column.baseType ?? column.type) }

    private static func isText(_ type: String) -> Bool {
        type == "text" || type == "name" || type.hasPrefix("character") || type == "citext" || type.hasSuffix(".citext")
    }

    /// Literals that a column's type takes, from its conditions where they give values away. The same for the same row.
    func candidates(for column: Catalog.Column, in table: Catalog.Relation) -> [String] {
        let found: [String]
        if !column.labels.isEmpty {
            found = column.labels
        } else if let width = column.compositeWidth {
            found = ["(" + String(repeating: ",", count: width - 1) + ")"]
        } else {
            found = candidates(
                ofType: column.baseType ?? column.type, Self.conditions(on: column, in: table),
                isUnique: isUnique(column, in: table))
        }
        var seen: Set<String> = []
        return found.filter { seen.insert($0).inserted }
    }

    private func candidates(
        ofType full: String, _ conditions: [SQLExpression], isUnique: Bool = false
    ) -> [String] {
        let strings = conditions.flatMap(\.strings)
        let numbers = conditions.flatMap(\.numbers)
        if full.hasSuffix("[]") { return arrays(of: String(full.dropLast(2)), conditions) }
        let name = full.split(separator: "(").first.map(String.init) ?? full
        let type = name.split(separator: ".").last.map(String.init) ?? name
        let modifier = full.split(separator: "(").dropFirst().first.flatMap { Int($0.prefix(while: \.isNumber)) }
        switch type {
        case "uuid": return [UUID.random().description]
        case "boolean": return ["true", "false"]
        case "smallint", "integer", "bigint":
            // A number that is unique is one that the project's own rows will hardly have.
            let (start, room) =
                type == "smallint"
                ? (10_000, 20_000)
                : type == "integer" ? (1_000_000_000, 1_000_000_000) : (1_000_000_000_000, 1_000_000_000_000_000)
            let far = isUnique ? ["\(start + (base + serial) % room)"] : []
            return far + ["2", "1", "0", "50", "100"] + Self.around(numbers)
        case "numeric", "real", "double precision", "money":
            return (isUnique ? ["\((base + serial) % 1_000_000)"] : [])
                + ["2", "1", "0", "50", "100", "0.5"] + Self.around(numbers)
        case "json", "jsonb", "jsonpath": return documents(strings, isPath: type == "jsonpath")
        case "timestamp with time zone", "timestamp without time zone", "timestamp", "date":
            return (isUnique ? [day] : []) + ["now", "tomorrow", "yesterday", day, "2026-01-01"]
                + strings.filter { $0.contains("-") }
        case "time with time zone", "time without time zone", "time": return ["12:00", "13:00", "11:00"]
        case "interval": return ["1 hour", "2 hours", "1 day", "0", "30 days"]
        case "bytea": return octets(numbers)
        case "inet": return ["192.0.2.\(serial % 256)", "2001:db8::\(serial % 10_000)"]
        case "cidr": return ["192.0.2.0/24"]
        case "macaddr": return ["08:00:2b:01:02:03"]
        case "macaddr8": return ["08:00:2b:01:02:03:04:05"]
        case "bit": return [String(repeating: "1", count: modifier ?? 1)]
        case "bit varying": return ["1", "0"]
        case "point": return ["(0,0)"]
        case "line": return ["{1,1,0}"]
        case "lseg": return ["[(0,0),(1,1)]"]
        case "box": return ["(1,1),(0,0)"]
        case "path", "polygon": return ["((0,0),(1,1),(1,0))"]
        case "circle": return ["<(0,0),1>"]
        case "tsvector", "tsquery", "ltree": return ["probe"]
        case "xml": return ["<probe/>"]
        case "hstore": return ["probe=>\"\(tenant.marker)\""]
        case "geometry", "geography": return ["POINT(0 0)"]
        case "oid", "xid", "cid": return ["0"]
        case "pg_lsn": return ["0/0"]
        case "int4range", "int8range", "numrange": return ["[\(serial),\(serial + 1))", "[1,2)", "[1,)"]
        case "tstzrange", "tsrange": return ["[\(day),\(day) 01:00)", "[2026-01-01,2026-01-02)", "[now,)"]
        case "daterange": return ["[\(day),\(day)]", "[2026-01-01,2026-01-02)"]
        case "vector", "halfvec":
            return ["[" + (0..<(modifier ?? 3)).map { $0 == 0 ? "1" : "0" }.joined(separator: ",") + "]"]
        case "sparsevec": return ["{1:1}/\(modifier ?? 3)"]
        case let multirange where multirange.hasSuffix("multirange"): return ["{}"]
        default: return texts(strings, numbers, most: Self.isText(full) ? modifier : nil)
        }
    }

    /// A day far ahead, another for each row.
    private var day: String {
        let days = base % 28 + serial
        let (month, year) = (1 + base / 28 % 12, 2040 + days / 28 % 50)
        return "\(year)-\(month < 10 ? "0" : "")\(month)-\(10 + days % 18)"
    }

    /// The numbers of conditions and their neighbours, for what must be more or less than them.
    private static func around(_ numbers: [String]) -> [String] {
        var all: [String] = []
        for number in numbers.prefix(40) {
            all.append(number)
            all.append("-\(number)")
            if let whole = Int(number), whole < 1 << 40 { all += ["\(whole + 1)", "\(whole - 1)"] }
        }
        return all + ["-1"]
    }

    private static let mostElements = 64

    private func arrays(of element: String, _ conditions: [SQLExpression]) -> [String] {
        // What conditions say of an array's elements they say of a value of their type.
        let values = candidates(ofType: element, conditions)
        func array(_ value: String, _ count: Int) -> String {
            "{" + Array(repeating: quoteIdentifier(value), count: count).joined(separator: ",") + "}"
        }
        let counts = conditions.flatMap(\.numbers).compactMap { Int($0) }.flatMap { [$0, $0 + 1] }
            .filter { (1...Self.mostElements).contains($0) }
        let strings = conditions.flatMap(\.strings).filter { values.contains($0) }
        return ["{}"] + (values.prefix(1) + strings).map { array($0, 1) }
            + Set(counts).sorted().flatMap { count in values.prefix(2).map { array($0, count) } }
    }

    /// Objects with the names and the values that conditions speak of.
    private func documents(_ strings: [String], isPath: Bool) -> [String] {
        if isPath { return ["$"] }
        let words = Array(Set(strings)).sorted().prefix(6)
        let mark = JSON.string(tenant.marker)
        var found: [JSON] = [["probe": mark], [], [:], .array([mark]), mark]
        if !words.isEmpty {
            found.append(.object(JSONObject(words.map { ($0, mark) })))
            found.append(.object(JSONObject(words.map { ($0, 1) })))
            found += words.map { .string($0) }
            found += words.flatMap { name in
                words.filter { $0 != name }.map { .object([name: .string($0)]) }
            }
        }
        return found.map(\.text)
    }

    private func octets(_ numbers: [String]) -> [String] {
        let bytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: (base + serial) >> $0) }
        // Of the lengths that conditions ask for, and those of a number, a UUID, and both behind a byte that tells which.
        let lengths = numbers.compactMap { Int($0) }.filter { (4...4096).contains($0) } + [8, 16, 9, 17]
        return ["\\x" + Hex.encode(Array("probe".utf8) + bytes)]
            + lengths.map { "\\x" + String(repeating: "00", count: $0 - 4) + Hex.encode(bytes) }
    }

    private static let mostCharacters = 4096

    private func texts(_ strings: [String], _ numbers: [String], most: Int?) -> [String] {
        let marker = tenant.marker + (serial > 1 ? "-\(serial)" : "")
        // Names and digests that are made of an id.
        let digits = Hex.encode(tenant.tenantID.bytes)
        let lengths = numbers.compactMap { Int($0) }.flatMap { [$0, $0 + 1, $0 - 1] }
            .filter { (1...Self.mostCharacters).contains($0) }
        var texts = [
            marker, "\(marker)@example.com", "https://example.com/\(marker)", "/\(marker)",
            "\(100_000 + (base + serial) % 900_000)", "+1555\(1_000_000 + (base + serial) % 9_000_000)", "en", "USD",
            "p\(serial)", "probe.tried", "192.0.2.1", "true", "2026-01-01", "{}",
            String(repeating: "\(marker) ", count: 8), digits, "tenant_\(digits)", digits + digits, marker.uppercased(),
        ]
        for text in strings {
            texts.append(text)
            if let sample = PatternSample.like(text, filledWith: marker) { texts.append(sample) }
            if let sample = PatternSample.regularExpression(text, seed: base + serial) { texts.append(sample) }
        }
        texts += Set(lengths).sorted().map { length in
            String((marker + String(repeating: "x", count: length)).prefix(length))
        }
        guard let most else { return texts }
        return texts.map { String($0.suffix(most)) }
    }
}

extension SQLExpression {
    /// The numbers in it.
    var numbers: [String] {
        tokens.compactMap { token in
            guard case .number(let text) = token else { return nil }
            return text
        }
    }
}
