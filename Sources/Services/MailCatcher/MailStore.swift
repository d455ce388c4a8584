// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The mails that were caught, newest first, in bounded memory: the oldest make room.
package final class MailStore: Sendable {
    private struct State {
        var mails: [CaughtMail] = []
        var byteCount = 0
    }

    private let state = Mutex(State())
    private let maxMails: Int
    private let maxBytes: Int

    package init(maxMails: Int, maxBytes: Int) {
        self.maxMails = max(maxMails, 1)
        self.maxBytes = max(maxBytes, 1)
    }

    package func add(_ mail: CaughtMail) {
        state.withLock { state in
            state.mails.insert(mail, at: 0)
            state.byteCount += mail.byteCount
            while state.mails.count > maxMails || state.byteCount > maxBytes, let oldest = state.mails.popLast() {
                state.byteCount -= oldest.byteCount
            }
        }
    }

    package var all: [CaughtMail] { state.withLock { $0.mails } }

    /// The mail of an id; `latest` is the newest.
    func mail(_ id: String) -> CaughtMail? {
        state.withLock { state in id == "latest" ? state.mails.first : state.mails.first { $0.id == id } }
    }

    func mark(_ ids: [String]?, isRead: Bool) {
        state.withLock { state in
            for index in state.mails.indices where ids?.contains(state.mails[index].id) ?? true {
                state.mails[index].isRead = isRead
            }
        }
    }

    /// - Parameter ids: nil for all.
    func remove(_ ids: [String]?) {
        state.withLock { state in
            state.mails.removeAll { ids?.contains($0.id) ?? true }
            state.byteCount = state.mails.reduce(0) { $0 + $1.byteCount }
        }
    }
}
