// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// Why a database cannot be made ready for a project.
package struct BootstrapError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// The server is older than ``Bootstrap/minimumServerVersion``.
        case serverTooOld = "server_too_old"
        /// The database does not store UTF-8.
        case wrongEncoding = "wrong_encoding"
        /// The server is a standby or otherwise refuses writes.
        case readOnlyServer = "read_only_server"
        /// The server lacks extensions that the platform or every project needs.
        case missingExtension = "missing_extension"
        /// The login may not make what is missing.
        case missingPrivilege = "missing_privilege"
        /// Another process has been at it for longer than may be waited.
        case locked
        /// A password that cannot be set.
        case unusablePassword = "unusable_password"
        /// A file of the project cannot be read.
        case unreadableFile = "unreadable_file"
    }

    package var code: Code
    /// For people: what is missing, and what to do.
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
