// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// An expression that rescores what prefetches found.
indirect enum FormulaExpression: Sendable {
    case constant(Double)
    /// The score of the point in prefetch `index`.
    case score(index: Int, defaultValue: Double)
    case payload(PayloadPath, defaultValue: Double?)
    case condition(Filter.Condition)
    case sum([FormulaExpression])
    case product([FormulaExpression])
    case negative(FormulaExpression)
    case absolute(FormulaExpression)
    case quotient(FormulaExpression, FormulaExpression, byZero: Double?)
    case squareRoot(FormulaExpression)
    case power(FormulaExpression, FormulaExpression)
    case exponential(FormulaExpression)
    case logarithm(FormulaExpression)
    case decimalLogarithm(FormulaExpression)
    case geoDistance(lon: Double, lat: Double, PayloadPath, defaultPlace: (lon: Double, lat: Double)?)
    case instant(String)
    case payloadInstant(PayloadPath, defaultText: String?)
    case decay(Decay, FormulaExpression, target: FormulaExpression, scale: Double, midpoint: Double)

    enum Decay: String, Sendable {
        case linear = "lin_decay"
        case exponential = "exp_decay"
        case gaussian = "gauss_decay"
    }
}

struct Formula: Sendable {
    let expression: FormulaExpression

    /// - Parameter defaults: values for scores and paths a point does not have.
    init(_ value: JSON, defaults: JSON?, filters: inout FilterParser) throws {
        var parser = FormulaParser(defaults: defaults?.objectValue ?? [:], filters: filters)
        expression = try parser.expression(value)
        filters = parser.filters
    }
}

private struct FormulaParser {
    let defaults: JSONObject
    var filters: FilterParser

    func shape(_ reason: String) -> VectorsError { VectorsError(.format, "formula: \(reason)") }

    mutating func expression(_ value: JSON) throws -> FormulaExpression {
        if let number = value.doubleValue { return .constant(number) }
        if let text = value.stringValue { return try variable(text) }
        guard let members = value.objectValue else { throw shape("expected a number, a variable or an object") }
        if members.count == 1, let (name, argument) = members.first(where: { _ in true }),
            let operation = try operation(name, argument)
        {
            return operation
        }
        // Anything else is a condition: 1 where it holds, 0 elsewhere.
        guard let filter = try filters.filter(["must": .array([value])]), let condition = filter.must.first else {
            throw shape("expected a condition")
        }
        return .condition(condition)
    }

    private func variable(_ text: String) throws -> FormulaExpression {
        guard text.hasPrefix("$score") else {
            return .payload(try PayloadPath(text), defaultValue: defaults[text]?.doubleValue)
        }
        let rest = text.dropFirst(6)
        let defaultValue = defaults[text]?.doubleValue ?? 0
        if rest.isEmpty { return .score(index: 0, defaultValue: defaultValue) }
        guard rest.first == "[", rest.last == "]", let index = Int(rest.dropFirst().dropLast()), index >= 0 else {
            throw shape("invalid score pattern `\(text.prefix(32))`")
        }
        return .score(index: index, defaultValue: defaultValue)
    }

    private mutating func operation(_ name: String, _ argument: JSON) throws -> FormulaExpression? {
        switch name {
        case "sum": return .sum(try list(argument))
        case "mult": return .product(try list(argument))
        case "neg": return .negative(try expression(argument))
        case "abs": return .absolute(try expression(argument))
        case "sqrt": return .squareRoot(try expression(argument))
        case "exp": return .exponential(try expression(argument))
        case "ln": return .logarithm(try expression(argument))
        case "log10": return .decimalLogarithm(try expression(argument))
        case "pow":
            guard let base = argument["base"], let exponent = argument["exponent"] else {
                throw shape("pow needs `base` and `exponent`")
            }
            return .power(try expression(base), try expression(exponent))
        case "div":
            guard let left = argument["left"], let right = argument["right"] else {
                throw shape("div needs `left` and `right`")
            }
            return .quotient(
                try expression(left), try expression(right), byZero: argument["by_zero_default"]?.doubleValue)
        case "geo_distance":
            guard let origin = try FilterParser.place(argument["origin"]), let to = argument["to"]?.stringValue else {
                throw shape("geo_distance needs `origin` and `to`")
            }
            return .geoDistance(
                lon: origin.lon, lat: origin.lat, try PayloadPath(to),
                defaultPlace: try FilterParser.place(defaults[to]))
        case "datetime":
            guard let instant = argument.stringValue.flatMap(InstantText.init) else {
                throw shape("datetime: expected an RFC 3339 date-time")
            }
            return .instant(instant.text)
        case "datetime_key":
            guard let key = argument.stringValue else { throw shape("datetime_key: expected a path") }
            return .payloadInstant(
                try PayloadPath(key), defaultText: defaults[key]?.stringValue.flatMap { InstantText($0)?.text })
        case "lin_decay", "exp_decay", "gauss_decay":
            guard let decay = FormulaExpression.Decay(rawValue: name), let x = argument["x"] else {
                throw shape("\(name) needs `x`")
            }
            let scale = argument["scale"]?.doubleValue ?? 1
            let midpoint = argument["midpoint"]?.doubleValue ?? 0.5
            guard scale > 0 else { throw VectorsError(.badRequest, "scale must be greater than zero") }
            guard midpoint > 0, midpoint < 1 else {
                throw VectorsError(.badRequest, "midpoint must be between 0 and 1")
            }
            let target = try argument["target"].flatMap { $0 == .null ? nil : try expression($0) } ?? .constant(0)
            return .decay(decay, try expression(x), target: target, scale: scale, midpoint: midpoint)
        default: return nil
        }
    }

    private mutating func list(_ value: JSON) throws -> [FormulaExpression] {
        guard let list = value.arrayValue, !list.isEmpty, list.count <= 100 else {
            throw shape("expected a list of expressions")
        }
        var expressions: [FormulaExpression] = []
        for item in list { expressions.append(try expression(item)) }
        return expressions
    }
}

/// Writes formulas over rows of `vectors.points as p`, beside `c.scores`, an array with a place for each prefetch.
struct FormulaWriter {
    private var filters: FilterWriter

    init(_ collection: VectorCollection) { filters = FilterWriter(collection) }

    /// A `float8`. A value that is missing or that no float holds makes PostgreSQL refuse the query.
    mutating func write(_ expression: FormulaExpression) throws -> PostgresQuery {
        switch expression {
        case .constant(let value): return "\(value)::float8"
        case .score(let index, let value):
            return "coalesce(c.scores[\(index + 1)::integer], \(value)::float8)"
        case .payload(let path, let value):
            return """
                vectors.require_number(\(only(path)), \(value)::float8, \(path.text)::text)
                """
        case .condition(let condition): return "(\(try filters.condition(condition)))::integer::float8"
        case .sum(let terms): return "(\(FilterWriter.joined(try terms.map { try write($0) }, " + ")))"
        case .product(let factors): return "(\(FilterWriter.joined(try factors.map { try write($0) }, " * ")))"
        case .negative(let value): return "(-\(try write(value)))"
        case .absolute(let value): return "abs(\(try write(value)))"
        case .quotient(let left, let right, let byZero):
            let divisor = try write(right)
            guard let byZero else { return "(\(try write(left)) / \(divisor))" }
            let dividend = try write(left)
            return """
                (case when \(dividend) = 0 then 0 when \(divisor) = 0 then \(byZero)::float8 else \(dividend) / \(divisor) end)
                """
        case .squareRoot(let value): return "sqrt(\(try write(value)))"
        case .power(let base, let exponent): return "power(\(try write(base)), \(try write(exponent)))"
        case .exponential(let value): return "exp(\(try write(value)))"
        case .logarithm(let value): return "ln(\(try write(value)))"
        case .decimalLogarithm(let value): return "log(\(try write(value)))"
        case .geoDistance(let lon, let lat, let path, let place):
            let value = only(path)
            return """
                vectors.geo_distance(
                    \(lon)::float8, \(lat)::float8,
                    vectors.require_number(\(value) -> 'lon', \(place?.lon)::float8, \(path.text)::text),
                    vectors.require_number(\(value) -> 'lat', \(place?.lat)::float8, \(path.text)::text))
                """
        case .instant(let text): return "extract(epoch from \(text)::timestamptz)::float8"
        case .payloadInstant(let path, let text):
            return """
                vectors.require_number(
                    to_jsonb(extract(epoch from coalesce(vectors.instant(\(only(path)) #>> '{}'), \(text)::timestamptz))),
                    null, \(path.text)::text)
                """
        case .decay(let decay, let x, let target, let scale, let midpoint):
            let difference: PostgresQuery = "(\(try write(x)) - \(try write(target)))"
            switch decay {
            case .linear:
                return "greatest(0, 1 - \((1 - midpoint) / scale)::float8 * abs(\(difference)))"
            case .exponential:
                return "exp(ln(\(midpoint)::float8) / \(scale)::float8 * abs(\(difference)))"
            case .gaussian:
                return "exp(ln(\(midpoint)::float8) / \(scale * scale)::float8 * power(\(difference), 2))"
            }
        }
    }

    /// The value under a path; of a list the only element.
    private func only(_ path: PayloadPath) -> PostgresQuery {
        var value: PostgresQuery = "p.payload"
        for step in path.steps {
            switch step {
            case .name(let name): value = "(\(value) -> \(name)::text)"
            case .position(let index): value = "(\(value) -> \(index)::integer)"
            case .everyElement: value = "(\(value) -> 0)"
            }
        }
        return """
            (case when jsonb_typeof(\(value)) = 'array' and jsonb_array_length(\(value)) = 1 then \(value) -> 0 else \(value) end)
            """
    }
}
