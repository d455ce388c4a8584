// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// Makes the response of what the database returned.
struct Answer: Sendable {
    let request: APIRequest
    let plan: Plan
    let configuration: RESTConfiguration

    func response(_ outcome: Outcome) throws(RESTError) -> HTTPResponse {
        if case .plan = plan.media { return explanation(outcome.result) }
        let row = Row(outcome, hasBody: plan.body != .none, plan)
        var response = HTTPResponse(.ok)
        switch request.action {
        case .read, .call, .inspect: try addRange(to: &response, row)
        case .create: response.headers.append("Content-Range", "*/\(row.total.map(String.init) ?? "*")")
        case .update, .delete: addMutationRange(to: &response, row)
        case .upsert: break
        }
        response.status = HTTPStatus(code: response.status.code == 206 ? 206 : status(row))
        addBody(to: &response, row, outcome.large)
        addFields(to: &response, row)
        try addSettings(to: &response, outcome.result)
        return response
    }

    /// The execution plan: one value as JSON, lines as text.
    private func explanation(_ result: PostgresResult) -> HTTPResponse {
        var response = HTTPResponse(.ok)
        response.headers.append("Content-Type", plan.media.contentType)
        if request.namesSchema { response.headers.append("Content-Profile", request.profileName) }
        if !request.isHead {
            let lines = (0..<result.rowCount).compactMap { result.string($0, 0) }
            response.body = .bytes(Array(lines.joined(separator: "\n").utf8))
        }
        return response
    }

    // MARK: Status

    private func status(_ row: Row) -> Int {
        let showsBody = plan.body != .none
        switch request.action {
        case .read, .inspect: return 200
        case .create:
            // All rows were there before: nothing was created.
            if isMerge && row.inserted == 0 || row.rowCount == 0 && request.preferences.resolution == .mergeDuplicates {
                return 200
            }
            return 201
        case .upsert:
            if let inserted = row.inserted, inserted > 0 { return 201 }
            return showsBody ? 200 : 204
        case .update, .delete: return showsBody ? 200 : 204
        case .call:
            if case .call(let call) = plan.source, call.function.result == .void { return 204 }
            return 200
        }
    }

    private var isMerge: Bool {
        if case .mutation(let mutation) = plan.source { mutation.countsUpdates } else { false }
    }

    // MARK: Range

    /// `Content-Range`, and 206 or a refusal where a total is known.
    private func addRange(to response: inout HTTPResponse, _ row: Row) throws(RESTError) {
        let offset = plan.read.range.offset
        let last = offset + row.rowCount - 1
        let total = row.total
        let shown = total != 0 && last >= offset ? "\(offset)-\(last)" : "*"
        response.headers.append("Content-Range", "\(shown)/\(total.map(String.init) ?? "*")")
        guard let total else { return }
        if offset > total {
            throw .rangeNotSatisfiable(
                details: "An offset of \(offset) was requested, but there are only \(total) rows.", total: total)
        }
        if row.rowCount < total { response.status = 206 }
    }

    private func addMutationRange(to response: inout HTTPResponse, _ row: Row) {
        let total = row.total.map(String.init) ?? "*"
        let shown = request.action == .update && row.rowCount > 0 ? "0-\(row.rowCount - 1)" : "*"
        response.headers.append("Content-Range", "\(shown)/\(total)")
    }

    // MARK: Body and fields

    private func addBody(to response: inout HTTPResponse, _ row: Row, _ large: LargeBody?) {
        if row.body != nil || request.isHead && status(row) != 204 {
            response.headers.append("Content-Type", contentType)
            if request.namesSchema { response.headers.append("Content-Profile", request.profileName) }
        }
        if let large {
            response.body = .stream(byteCount: large.byteCount) { writer in
                try await large.forEachPiece { try await writer.write($0) }
            }
        } else if let body = row.body {
            response.body = rawBytes(body).map { .bytes($0) } ?? .lent(body)
        }
    }

    /// The bytes behind `bytea`'s hexadecimal text.
    private func rawBytes(_ body: any BytesOwner) -> [UInt8]? {
        guard plan.handler?.returnsBytes ?? false else { return nil }
        return body.withBytes { Hex.decode(String(decoding: $0.dropFirst(2), as: UTF8.self)) }
    }

    private var contentType: String {
        // What is no object answers as plain JSON whatever object type was asked of a scalar.
        if case .scalar = plan.body { return MediaType.json.contentType }
        return plan.media.contentType
    }

    private func addFields(to response: inout HTTPResponse, _ row: Row) {
        if request.action == .read {
            response.headers.append("Content-Location", request.location)
        }
        if let location = row.location, case .relation(let name) = request.target {
            response.headers.append("Location", "/\(Self.encoded(name))?\(location)")
        }
        for (name, current) in plan.formerNames.sorted(by: { $0.key < $1.key }) {
            response.headers.append("Warning", Self.warning(name, current))
        }
        if let applied = request.preferences.applied(
            heeded, allowsTransactionOverride: configuration.allowsTransactionOverride)
        {
            response.headers.append("Preference-Applied", applied)
        }
    }

    private static func warning(_ name: String, _ current: String) -> String {
        // Within quotes of the field (RFC 9110 section 5.6.4) these two are escaped.
        func escaped(_ text: String) -> String {
            text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        }
        return "299 PostgRESTv14 \"Embedded resource was referenced by relation name even though it has an alias. "
            + "This is deprecated and will stop working in a future release. "
            + "Update `\(escaped(name))` to `\(escaped(current))` in query string filters, orders or limits.\""
    }

    private var heeded: Preferences.Kinds {
        switch request.action {
        case .read, .inspect: []
        case .create:
            if case .mutation(let mutation) = plan.source, case .insert(_, nil, _) = mutation.kind {
                [.representation, .missing]
            } else {
                [.resolution, .representation, .missing]
            }
        case .update: [.representation, .missing, .maxAffected]
        case .upsert: [.representation]
        case .delete: [.representation, .maxAffected]
        case .call: [.maxAffected]
        }
    }

    /// What the statement said by `response.headers` and `response.status`.
    private func addSettings(to response: inout HTTPResponse, _ result: PostgresResult) throws(RESTError) {
        if let text = result.string(0, Statement.ColumnIndex.headers) {
            guard let entries = (try? JSON(parsing: text))?.arrayValue else { throw .invalidHeadersSetting }
            var seen: Set<String> = []
            for entry in entries {
                guard let members = entry.objectValue, members.count == 1,
                    let member = members.first(where: { _ in true }),
                    let value = member.value.stringValue
                else { throw .invalidHeadersSetting }
                // Of ours the statement's replaces; of its own all are kept.
                if seen.insert(member.name.lowercased()).inserted { response.headers.remove(member.name) }
                response.headers.append(member.name, value)
            }
        }
        if let text = result.string(0, Statement.ColumnIndex.status(plan)) {
            guard let status = Int(text), (100...599).contains(status) else { throw .invalidStatusSetting }
            response.status = HTTPStatus(code: status)
        }
    }

    static func encoded(_ text: String) -> String {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                encoded.append(byte)
            default:
                encoded.append(UInt8(ascii: "%"))
                encoded.append(contentsOf: Hex.encode([byte]).uppercased().utf8)
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// The one row of a statement's result.
    private struct Row {
        var rowCount = 0
        var total: Int?
        var body: (any BytesOwner)?
        /// The query that finds the one row inserted.
        var location: String?
        /// Rows an upsert inserted.
        var inserted: Int?

        init(_ outcome: Outcome, hasBody: Bool, _ plan: Plan) {
            let result = outcome.result
            rowCount = Int(result.string(0, Statement.ColumnIndex.rowCount) ?? "") ?? 0
            var column = Statement.ColumnIndex.firstOptional
            if hasBody { body = result.value(0, Statement.ColumnIndex.body(plan)) }
            if plan.count == .exact || plan.count == .estimated {
                total = result.string(0, column).flatMap { Int($0) }
                column += 1
            }
            if plan.locationKey != nil {
                if rowCount == 1, let pairs = result.string(0, column) { location = Self.location(pairs) }
                column += 1
            }
            if case .mutation(let mutation) = plan.source, mutation.countsUpdates {
                inserted = rowCount - (result.string(0, column).flatMap { Int($0) } ?? 0)
            }
            if let estimate = outcome.estimate?.string(0, 0).flatMap(Self.estimatedRows) {
                switch plan.count {
                case .planned: total = estimate
                case .estimated:
                    if let maxRows = plan.maxRows, (total ?? 0) > maxRows { total = max(estimate, total ?? 0) }
                case .exact, nil: break
                }
            }
        }

        /// `key=eq.value&...` of a JSON array of pairs.
        private static func location(_ text: String) -> String? {
            (try? JSON(parsing: text))?.arrayValue?.compactMap { pair -> String? in
                guard let name = pair[0]?.stringValue else { return nil }
                return Answer.encoded(name) + "="
                    + (pair[1]?.stringValue.map { "eq." + Answer.encoded($0) } ?? "is.null")
            }.joined(separator: "&")
        }

        private static func estimatedRows(_ explained: String) -> Int? {
            (try? JSON(parsing: explained))?[0]?["Plan"]?["Plan Rows"]?.intValue
        }
    }
}
