// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import EventLoop
internal import HTTPClient
package import Jobs
package import Postgres
package import Primitives

/// Mail that a transaction promises and that is sent after it: through a crash, a restart and a mail server that is away.
///
/// What a mail says is sealed while it waits, since links and codes in it sign people in. It is delivered at least once; all
/// deliveries of one mail have the same `Message-ID`, by which readers and servers know it.
package struct MailOutbox: Sendable {
    private let queue: JobQueue
    private let keyring: Keyring

    package init(_ queue: JobQueue, keyring: Keyring) {
        self.queue = queue
        self.keyring = keyring
    }

    /// The statement that queues a mail.
    ///
    /// - Parameters:
    ///   - kind: what it is about, such as `recovery`; kept in the clear, as are its recipient and `Message-ID`.
    ///   - lifetime: how long it is worth sending; nil for ever.
    /// - Throws: ``MailError`` for what must not be sent, or `CryptographyError`.
    package func insertion(of message: MailMessage, kind: String, lifetime: Duration?) throws -> PostgresQuery {
        let sealed = try seal(message, kind: kind)
        return queue.insertion(id: sealed.id, payload: sealed.payload, summary: sealed.summary, lifetime: lifetime)
    }

    /// A mail as a job holds it, for a function of the database that queues it itself.
    package struct Sealed: Sendable {
        package let id: UUID
        package let payload: String
        package let summary: JSON
    }

    /// Seals a mail without queueing it.
    ///
    /// - Throws: as ``insertion(of:kind:lifetime:)`` does.
    package func seal(_ message: MailMessage, kind: String) throws -> Sealed {
        let mail = QueuedMail(
            sender: message.sender.address, recipient: message.recipient.address, message: try message.encoded())
        let payload = try keyring.seal(mail.json.encoded(), context: Self.context(message.id))
        let summary: JSON = [
            "kind": .string(kind), "to": .string(message.recipient.address), "message_id": .string(message.messageID),
        ]
        return Sealed(id: message.id, payload: payload, summary: summary)
    }

    /// What sends the mails.
    ///
    /// - Parameter database: logs in as the role that queues them.
    package func worker(
        _ transport: MailTransport, database: Database, loop: Loop, log: Log, metrics: Metrics
    ) -> JobWorker {
        JobWorker(queue, database: database, loop: loop, log: log, metrics: metrics) { [keyring] job in
            let mail: QueuedMail
            do {
                let text = try keyring.open(job.payload, context: Self.context(job.id))
                mail = try QueuedMail(JSON(parsing: text))
            } catch {
                // Another key may be configured again.
                return .failed("the queued mail cannot be opened: \(error)")
            }
            guard let error = await transport.deliver(mail) else {
                log.info("mail sent", .field("job", job.id), .field("kind", job.summary["kind"]?.stringValue ?? ""))
                return .done
            }
            let reason = error.replyCode.map { "\(error) (reply \($0))" } ?? "\(error)"
            return error.isFinal ? .hopeless(reason) : .failed(reason)
        }
    }

    private static func context(_ id: UUID) -> SealingContext { SealingContext("mail", id.description) }
}

/// A mail as the queue holds it, under seal.
struct QueuedMail: Sendable {
    let sender: String
    let recipient: String
    let message: String

    init(sender: String, recipient: String, message: String) {
        self.sender = sender
        self.recipient = recipient
        self.message = message
    }

    init(_ json: JSON) throws(MailError) {
        guard let sender = json["from"]?.stringValue, let recipient = json["to"]?.stringValue,
            let message = json["message"]?.stringValue
        else { throw .malformed }
        self.init(sender: sender, recipient: recipient, message: message)
    }

    var json: JSON { ["from": .string(sender), "to": .string(recipient), "message": .string(message)] }
}
