// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// The statement of a plan, and where in its one row what is found.
struct Statement: Sendable {
    var query: PostgresQuery
    /// The query without a body that is too large to hold, for reads; see ``guarded(maxBytes:)``.
    var guarded: PostgresQuery?
    /// `explain` of the rows without a limit, where the planner's estimate is wanted.
    var estimate: PostgresQuery?
    var hasBody: Bool
    var hasTotal: Bool
    var hasLocation: Bool
    var countsUpdates: Bool

    /// Columns that every statement has; the others follow in the order of the flags above. The body stands where PostgREST's does, so
    /// that execution plans read alike.
    enum ColumnIndex {
        static let rowCount = 0
        static let headers = 1
        static let firstOptional = 4

        static func status(_ plan: Plan) -> Int { plan.isMutation ? 2 : 3 }

        /// Null where there is none.
        static func body(_ plan: Plan) -> Int { plan.isMutation ? 3 : Statement.bodyColumn }
    }

    init(_ plan: Plan) {
        var writer = SQLWriter()
        let isRead: Bool
        switch plan.source {
        case .relation: isRead = true
        case .mutation(let mutation):
            isRead = false
            writer.add("with \"_source\" as (")
            writer.mutate(mutation)
            writer.add(") ")
        case .call(let call):
            isRead = false
            writer.add("with \"_source\" as (")
            writer.call(call)
            writer.add(") ")
        }
        // A function's own value stands alone in its row: it needs no aggregate around it.
        let isOneValue = plan.body == .raw && !Self.returnsSet(plan)
        let status = "nullif(current_setting('response.status', true), '')"
        let body = Self.body(plan)
        writer.add(
            "select \(isOneValue ? "1" : "count(*)"), nullif(current_setting('response.headers', true), ''), \(plan.isMutation ? status : body), \(plan.isMutation ? body : status)"
        )
        countsUpdates = false
        hasLocation = plan.locationKey != nil
        hasTotal = plan.count == .exact || plan.count == .estimated
        hasBody = plan.body != .none
        if hasTotal {
            if isOneValue {
                writer.add(", 1")
            } else if Self.countsItsRows(plan) {
                writer.add(", count(*)")
            } else {
                writer.add(", (select count(*) from (")
                writer.selectAll(plan.read, from: "\"_source\"")
                // Beyond this the estimate counts, so that a large table is not read to its end.
                if plan.count == .estimated, let maxRows = plan.maxRows { writer.add(" limit \(maxRows + 1)") }
                writer.add(") as \"_all\")")
            }
        }
        if hasLocation {
            writer.add(
                ", (select json_agg(json_build_array(\"key\", \"value\"))::text from json_each_text((array_agg(row_to_json(\"_row\".*)))[1]))"
            )
        }
        if case .mutation(let mutation) = plan.source, mutation.countsUpdates {
            countsUpdates = true
            writer.add(", coalesce(nullif(current_setting('\(SQLWriter.updatedSetting)', true), ''), '0')")
        }
        writer.add(" from (")
        switch plan.source {
        case .mutation where plan.body == .none: writer.add("select * from \"_source\"")
        case .relation, .call, .mutation: writer.select(plan.read, from: "\"_source\"")
        }
        writer.add(") as \"_row\"")
        query = writer.query
        if case .plan(_, let asText, let options) = plan.media {
            let options = ["format \(asText ? "text" : "json")"] + options.map(\.rawValue)
            query = PostgresQuery(
                sql: "explain (\(options.joined(separator: ", "))) \(query.sql)", parameters: query.parameters)
            return
        }

        if isRead, plan.count == .planned || plan.count == .estimated {
            var explain = SQLWriter()
            explain.add("explain (format json) ")
            explain.selectAll(plan.read)
            estimate = explain.query
        }
    }

    /// Makes the query that leaves a large body out, for what may be asked for again in pieces.
    mutating func addGuard(_ plan: Plan, maxBytes: Int) {
        guard case .relation = plan.source, hasBody, !(plan.handler?.returnsBytes ?? false) else { return }
        if case .plan = plan.media { return }
        guarded = guarded(maxBytes: maxBytes)
    }

    /// Puts other values in place of parameters, in all queries alike.
    mutating func replaceParameters(at places: [Int], with values: [String]) {
        query.replaceParameters(at: places, with: values)
        guarded?.replaceParameters(at: places, with: values)
    }

    /// Computes what finds the queries in tables once, for a statement that is kept.
    mutating func rememberHash() {
        query.rememberHash()
        guarded?.rememberHash()
    }

    /// Whether the rows shown are all there are.
    private static func countsItsRows(_ plan: Plan) -> Bool {
        if case .mutation = plan.source { true } else { plan.read.range == .all }
    }

    private static func returnsSet(_ plan: Plan) -> Bool {
        if case .call(let call) = plan.source { call.function.returnsSet } else { true }
    }

    private static func handled(_ handler: MediaHandler, _ plan: Plan) -> String {
        guard case .aggregate(let function, let relation) = handler.kind else { return "null" }
        var writer = SQLWriter()
        writer.add(function)
        if case .call(let call) = plan.source, call.function.result == .scalar {
            writer.add("(\"_row\".\"pgrst_scalar\")")
            return writer.text
        }
        writer.add("(\"_row\"")
        if let relation {
            writer.add("::")
            writer.add(relation)
        }
        writer.add(")")
        return writer.text
    }

    private static func body(_ plan: Plan) -> String {
        switch plan.body {
        case .none: "null"
        case .array(stripsNulls: false): "coalesce(json_agg(\"_row\".*), '[]')"
        case .array(stripsNulls: true): "coalesce(json_strip_nulls(json_agg(\"_row\".*)), '[]')"
        case .object(stripsNulls: false), .composite(stripsNulls: false):
            "coalesce(json_agg(\"_row\".*)->0, 'null')"
        case .object(stripsNulls: true), .composite(stripsNulls: true):
            "coalesce(json_strip_nulls(json_agg(\"_row\".*)->0), 'null')"
        case .scalar(isSet: true): "coalesce(json_agg(\"_row\".\"pgrst_scalar\"), '[]')"
        case .scalar(isSet: false): "coalesce(json_agg(\"_row\".\"pgrst_scalar\")->0, 'null')"
        case .raw where returnsSet(plan): "(array_agg(\"_row\".\"pgrst_scalar\"))[1]"
        case .raw: "\"_row\".\"pgrst_scalar\""
        case .geoJSON:
            "json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg(ST_AsGeoJSON(\"_row\")::json), '[]'))"
        case .handled(let handler): handled(handler, plan)
        case .csv:
            // A row's text form is CSV in parentheses; the header comes from the first row's keys.
            """
            coalesce((select string_agg("key", ',') from json_object_keys((array_agg(row_to_json("_row".*)))[1]) as "key"), '')
            || E'\\n' || coalesce(string_agg(substring("_row"::text, 2, length("_row"::text) - 2), E'\\n'), '')
            """
        }
    }
}
