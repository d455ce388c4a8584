// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The tenant's audit log, for those who may read it.
extension Console {
    private static let activityPageSize = 50

    /// What an entry of the audit log tells of.
    static func activity(_ entry: JSON) -> Phrase {
        let action = entry["action"]?.stringValue ?? ""
        return Message.activities[action].map { .of($0) } ?? .words(action)
    }

    func activityPage(_ visit: inout Visit, _ person: Person) async throws -> HTTPResponse {
        var target = "/api/audit?limit=\(Self.activityPageSize)"
        if let before = visit.query.first("before") { target += "&" + FormFields.encode([("before", before)]) }
        let wanted = target
        let asking = visit
        async let auditAnswer = asking.call(.get, wanted)
        async let memberAnswer = asking.call(.get, "/api/members")
        let (answer, members) = await (auditAnswer, memberAnswer)
        let entries = answer.body?["entries"]?.arrayValue ?? []
        var names: [String: String] = [:]
        for member in members.body?["members"]?.arrayValue ?? [] {
            if let id = member["user_id"]?.stringValue { names[id] = member["email"]?.stringValue }
        }
        return visit.page(.activity, status: answer.isSuccess ? .ok : answer.pageStatus) {
            Components.heading(.of(.activity), .of(.activityText))
            if !answer.isSuccess { Components.notice(answer.phrase, isGood: false) }
            if entries.isEmpty {
                Components.empty(.list, .noActivity, .noActivityText)
            } else {
                Components.table(
                    .activity, [.time, .actor, .what, .object, .details],
                    rows: entries.map { activityRow($0, names) })
            }
            if let next = answer.body?["next"]?.stringValue {
                Markup(.p, .class("pager")) {
                    Markup(
                        .a, .class("button quiet"), .href("/activity?\(FormFields.encode([("before", next)]))"),
                        text: .nextPage)
                }
            }
        }
    }

    private func activityRow(_ entry: JSON, _ names: [String: String]) -> [Markup] {
        let actor = entry["actor"]?.stringValue
        let target = entry["target"]?.stringValue
        let details = (entry["detail"]?.objectValue ?? [:]).map { name, value in
            Components.code("\(name)=\(String((value.stringValue ?? value.text).prefix(120)))")
        }
        return [
            Components.moment(entry["at"]?.stringValue),
            actor.map { names[$0].map { .data($0) } ?? .text(.someoneElse) } ?? .text(.theServer),
            Markup(.span) { Markup.text(Self.activity(entry)) },
            target.map { Components.code(names[$0] ?? $0) } ?? .data("–"),
            details.isEmpty ? .nothing : Markup(.span, .class("fields")) { details },
        ]
    }
}
