// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A set-up as `GET /api/setup` tells it.
struct SetupRun: Sendable {
    enum Status: String, Sendable {
        case notStarted = "not_started"
        case running
        case failed
        /// Its server ended while it ran.
        case interrupted
        case completed
    }

    struct Step: Sendable {
        enum Status: String, Sendable {
            case pending, running, failed, completed, skipped
        }

        let name: String
        let status: Status
        let attempts: Int
        let error: String?
        let milliseconds: Int?
        /// The services whose keys were refused.
        let refusedKeys: [String]
        /// What it made, where that has a name.
        let made: Phrase?

        init?(_ json: JSON) {
            guard let name = json["name"]?.stringValue else { return nil }
            self.name = name
            status = json["status"]?.stringValue.flatMap(Status.init) ?? .pending
            attempts = json["attempts"]?.intValue ?? 0
            error = json["error"]?.stringValue
            milliseconds = json["duration_ms"]?.intValue
            let detail = json["detail"]
            refusedKeys = detail?["refused"]?.arrayValue?.compactMap(\.stringValue) ?? []
            made =
                (detail?["collection_name"] ?? detail?["schema"])?.stringValue.map { .words($0) }
                ?? (detail?["isolation"] == "shared" ? .of(.schemaIsShared) : nil)
        }

        var title: Phrase {
            switch name {
            case "profile": .of(.stepProfile)
            case "api_keys": .of(.stepKeys)
            case "schema": .of(.stepSchema)
            case "vector_collection": .of(.stepCollection)
            case "settings": .of(.stepSettings)
            default: .words(name)
            }
        }
    }

    let status: Status
    let steps: [Step]

    init(_ json: JSON?) {
        status = json?["status"]?.stringValue.flatMap(Status.init) ?? .notStarted
        steps = json?["steps"]?.arrayValue?.compactMap { Step($0) } ?? []
    }

    /// What a step has made; nil before it has.
    func made(by step: String) -> Phrase? { steps.first { $0.name == step && $0.status == .completed }?.made }

    var done: Int { steps.count { $0.status == .completed || $0.status == .skipped } }
    var failedStep: Step? { steps.first { $0.status == .failed } }
}
