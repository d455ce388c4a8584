// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension SQLProbeRun {
    /// Topics that are named for the other, joined and sent to the way Realtime asks: by selecting from and inserting into
    /// `realtime.messages` with the topic set.
    mutating func crossTopics(_ mine: ProbeTenant, _ other: ProbeTenant) async throws {
        guard let messages = catalog.relation("realtime", "messages"), messages.isReachable else { return }
        for topic in topics(of: other) {
            for kind in messages.column("extension") == nil ? [nil] : ["broadcast", "presence"] {
                var maker = RowMaker(catalog: catalog, tenant: other)
                var values = ["topic": topic]
                if let kind { values["extension"] = kind }
                let message = maker.insertion(into: messages, values: values, returning: false)
                let joined = "select set_config('realtime.topic', \(quoteLiteral(topic)), true)"
                let object = "topic \(Self.title(topic, other))\(kind.map { ", \($0)" } ?? "")"
                for caller in [Crossing.Caller.member, .visitor] {
                    let role = Self.role(of: caller)
                    if messages.allows("SELECT", to: role) {
                        let read = "select 1 from realtime.messages where topic = \(quoteLiteral(topic))"
                        try await cross(object, .read, caller, read, [message, joined], mine)
                    }
                    if messages.allows("INSERT", to: role) {
                        let sent = maker.insertion(into: messages, values: values, by: role, returning: false)
                        try await cross(object, .insert, caller, sent, [joined], mine)
                    }
                }
            }
        }
    }

    private mutating func cross(
        _ object: String, _ action: Crossing.Action, _ caller: Crossing.Caller, _ statement: String, _ first: [String],
        _ mine: ProbeTenant
    ) async throws {
        let tried = try await attempts(
            statement, as: caller == .member ? mine : nil, visitor: caller == .visitor, first: first, then: [])
        var outcome = Crossing.Outcome.held
        switch tried {
        case .success(let results):
            if let result = results.last, max(result.rowCount, result.affectedRows) > 0 { outcome = .leaked }
        case .failure(let error):
            outcome = self.outcome(of: error, statement, passing: true)
        }
        crossings.append(crossing("realtime", object, action, caller, outcome, statement, mine))
    }

    /// The names that topics usually have, and those that the policies speak of, with the other's ids in them.
    private func topics(of other: ProbeTenant) -> [String] {
        let strings = catalog.policies(of: "realtime", "messages").flatMap { policy, _ in
            [policy.using, policy.check].compactMap { $0 }.flatMap(\.strings)
        }
        var topics: [String] = []
        for (word, id) in [("user", other.userID.description), ("tenant", other.tenantID.description)] {
            topics += [id, "\(word):\(id)"]
            for text in strings {
                if let sample = PatternSample.like(text, filledWith: id) { topics.append(sample) }
                if let last = text.last, ":-_/.".contains(last) { topics.append(text + id) }
            }
        }
        var seen: Set<String> = []
        return topics.filter { seen.insert($0).inserted }
    }

    /// The topic with words for the ids, which are others in every run.
    private static func title(_ topic: String, _ other: ProbeTenant) -> String {
        topic.replacing(other.userID.description, with: "<user>").replacing(
            other.tenantID.description, with: "<tenant>")
    }
}
