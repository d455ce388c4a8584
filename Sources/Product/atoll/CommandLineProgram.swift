// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Platform
internal import Server

/// The program `atoll`: finds the command, runs it, and turns what it throws into a message with a next step.
enum CommandLineProgram {
    static let version = ServerVersion.current

    static func main() {
        // A reader that went away (`atoll config | head`) shows as an error of the write, not as a death.
        signal(SIGPIPE, SIG_IGN)
        exit(run(Array(CommandLine.arguments.dropFirst())))
    }

    /// - Returns: the exit code: 0, 1 for what failed, 2 for a command line that makes no sense.
    static func run(_ arguments: [String]) -> Int32 {
        do {
            let invocation = try Invocation(parsing: arguments, root: CommandTree.root)
            if invocation.wantsHelp {
                Output.print(Help.text(for: invocation.commands))
                return 0
            }
            if invocation.has("version") { return try VersionCommand.run(invocation) }
            guard let run = invocation.command.run else {
                // A group without its command: what there is, as an error.
                Output.printError(Help.text(for: invocation.commands))
                return 2
            }
            return try run(invocation)
        } catch let error as UsageError {
            report(error.message, next: error.next)
            return 2
        } catch let error as CommandFailure {
            report(error.message, next: error.next)
        } catch let error as ProjectError {
            report(error.message, next: error.next)
        } catch let error as ConfigurationError {
            for diagnostic in error.diagnostics { Output.printError("\(diagnostic)") }
            report(
                "the configuration cannot be used", next: "correct what is named above; `atoll config` checks it again")
        } catch {
            report("\(error)", next: nil)
        }
        return 1
    }

    private static func report(_ message: String, next: String?) {
        Output.printError("\(Output.style("error:", .red, on: STDERR_FILENO)) \(message)")
        if let next { Output.printError("  next: \(next)") }
    }
}

/// A command that could not do its work, and what the user can do.
struct CommandFailure: Error {
    let message: String
    let next: String?

    init(_ message: String, next: String? = nil) {
        self.message = message
        self.next = next
    }
}

/// A command line that makes no sense.
struct UsageError: Error {
    let message: String
    let next: String
}
