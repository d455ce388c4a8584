// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What a write answers. It is committed in either case; the words are what the client's `wait` leads it to expect.
struct UpdateResult {
    let version: Int
    let isAwaited: Bool

    init(_ request: HTTPRequest, version: Int) {
        self.version = version
        isAwaited = request.query.flatMap { FormFields(query: $0).first("wait") } == "true"
    }

    var json: JSON {
        ["operation_id": JSON(version), "status": isAwaited ? "completed" : "acknowledged"]
    }
}
