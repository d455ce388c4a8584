// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives
internal import Synchronization

/// A read that was parsed, planned and written as SQL once, for all requests of its form.
struct PlannedRead: Sendable {
    private let request: APIRequest
    let plan: Plan
    private let statement: Statement
    /// For each value of the form, which parameter it is.
    private let places: [Int]
    private let location: Template

    /// A text with values in it.
    private struct Template {
        /// What stands before each value and behind the last one.
        private var pieces: [String] = []
        /// Which value stands where.
        private var order: [Int] = []

        /// - Returns: nil unless each mark stands in the text exactly once.
        init?(_ text: String, _ marks: [String]) {
            var found: [(range: Range<String.Index>, mark: Int)] = []
            for (number, mark) in marks.enumerated() {
                let ranges = text.ranges(of: mark)
                guard let range = ranges.first, ranges.count == 1 else { return nil }
                found.append((range, number))
            }
            var start = text.startIndex
            for (range, mark) in found.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
                pieces.append(String(text[start..<range.lowerBound]))
                order.append(mark)
                start = range.upperBound
            }
            pieces.append(String(text[start...]))
        }

        func text(_ values: [String]) -> String {
            var text = pieces[0]
            for (index, value) in order.enumerated() {
                text += Answer.encoded(values[value])
                text += pieces[index + 1]
            }
            return text
        }
    }

    /// - Returns: nil unless the plan proves not to depend on the values: the same request with other values gives the same SQL, and each
    ///   value is exactly one of its parameters.
    init?(
        _ form: ReadForm, _ http: HTTPRequest, path: String, _ request: APIRequest, _ plan: Plan,
        _ statement: Statement,
        _ cache: SchemaCache, _ configuration: RESTConfiguration
    ) {
        guard case .read = request.action, case .relation = plan.source, statement.estimate == nil else { return nil }
        if case .plan = plan.media { return nil }
        let (query, marks) = form.marked(http.query ?? "")
        guard
            var other = try? APIRequest(
                method: http.method, path: path, query: query, headers: http.headers, configuration: configuration,
                hasSchema: request.schema == TenantDirectory.template)
        else { return nil }
        other.settleSchema(cache, configuration)
        guard let otherPlan = try? RESTService.plan(other, nil, cache, configuration)
        else { return nil }
        let otherQuery = Statement(otherPlan).query
        let parameters = statement.query.parameters
        guard otherQuery.sql == statement.query.sql, otherQuery.parameters.count == parameters.count else { return nil }
        var places: [Int] = []
        for (mark, value) in zip(marks, form.values) {
            let found = otherQuery.parameters.indices.filter {
                otherQuery.parameters[$0] == PostgresParameter(text: mark)
            }
            guard let place = found.first, found.count == 1, parameters[place] == PostgresParameter(text: value) else {
                return nil
            }
            places.append(place)
        }
        for index in parameters.indices
        where !places.contains(index) && parameters[index] != otherQuery.parameters[index] {
            return nil
        }
        guard let location = Template(other.location, marks), location.text(form.values) == request.location else {
            return nil
        }
        self.location = location
        self.request = request.withoutValues
        self.plan = plan.withoutValues
        var statement = statement
        statement.rememberHash()
        self.statement = statement
        self.places = places
    }

    /// The request with these values, as if it had been parsed; without what only planning needs.
    func request(_ values: [String]) -> APIRequest {
        var request = request
        request.location = location.text(values)
        return request
    }

    /// The statement with a request's values.
    func statement(_ values: [String]) -> Statement {
        var statement = statement
        statement.replaceParameters(at: places, with: values)
        return statement
    }
}

extension APIRequest {
    /// Without what was filtered by: it is another request's.
    fileprivate var withoutValues: APIRequest {
        var request = self
        request.query = QueryParameters()
        request.location = ""
        return request
    }
}

extension Plan {
    fileprivate var withoutValues: Plan {
        var plan = self
        plan.read.filters = []
        plan.read.embeds = []
        return plan
    }
}

/// The planned reads of a service by form, bounded; those of a former schema are forgotten.
final class PlannedReads: Sendable {
    private enum Entry {
        /// Its form came once. What never comes again is not worth the proof.
        case seen
        case planned(PlannedRead)
        /// Its form depends on the values.
        case unfit
    }

    enum Finding {
        case planned(PlannedRead)
        /// To be planned, and then handed to ``PlannedReads/learn(_:_:_:)``.
        case wanted
        case unknown
    }

    private struct State {
        var generation: UInt64 = 0
        var entries: RecentlyUsed<ReadForm.Key, Entry>
    }
    private let state: Mutex<State>

    /// - Parameters:
    ///   - maxEntries: forms kept.
    ///   - maxBytes: of their keys together; a plan is a few times as large.
    init(maxEntries: Int = 2048, maxBytes: Int = 1 << 20) {
        state = Mutex(State(entries: RecentlyUsed(maxEntries: maxEntries, maxCost: maxBytes)))
    }

    var count: Int { state.withLock { $0.entries.count } }

    func find(_ form: ReadForm, _ cache: SchemaCache) -> Finding {
        state.withLock { state in
            // A request that began under an older schema finds nothing, and throws nothing away.
            guard cache.generation >= state.generation else { return .unknown }
            if cache.generation > state.generation {
                state.generation = cache.generation
                state.entries.removeAll()
            }
            switch state.entries.value(for: form.key, cost: form.key.bytes.count) {
            case .planned(let read): return .planned(read)
            case .seen: return .wanted
            case .unfit: return .unknown
            case nil:
                state.entries.insert(.seen, for: form.key, cost: form.key.bytes.count)
                return .unknown
            }
        }
    }

    /// - Parameter read: nil when the form proved unfit.
    func learn(_ form: ReadForm, _ read: PlannedRead?, _ cache: SchemaCache) {
        state.withLock { state in
            guard state.generation == cache.generation else { return }
            state.entries.insert(read.map { .planned($0) } ?? .unfit, for: form.key, cost: form.key.bytes.count)
        }
    }
}
