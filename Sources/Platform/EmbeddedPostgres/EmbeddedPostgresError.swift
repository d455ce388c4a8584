// SPDX-License-Identifier: Apache-2.0

/// Why the private PostgreSQL cannot be had. The message is for the person who starts Atoll and says what to do next.
package struct EmbeddedPostgresError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// No installation that fits.
        case installationNotFound
        /// The cluster was made by another major version.
        case versionMismatch
        /// `initdb` failed.
        case initialisationFailed
        /// The server ended, or did not become ready in time, at its first start.
        case startFailed
        /// Another program listens on the port.
        case portInUse
        /// Another Atoll supervises this cluster.
        case alreadyRunning
        /// A setting's name or value cannot be used.
        case invalidSetting
        /// A folder or file of the cluster cannot be prepared.
        case folderUnusable
        /// The server outlived every signal.
        case stopFailed
    }

    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
