// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

extension ProgramInvocation {
    /// Lends the C form of this invocation to `body`.
    func withRequest<R>(_ body: (UnsafePointer<clinux_spawn_request>) -> R) -> R {
        let arguments = CStringArray([program] + self.arguments)
        let environment = CStringArray(self.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
        let program = CStringArray([self.program])
        let folder = CStringArray(self.folder.map { [$0] } ?? [])
        defer { withExtendedLifetime((arguments, environment, program, folder)) {} }
        var request = clinux_spawn_request()
        request.program = UnsafePointer(program.pointers[0])
        request.arguments = UnsafePointer(arguments.pointers)
        request.environment = UnsafePointer(environment.pointers)
        request.folder = UnsafePointer(folder.pointers[0])
        request.input = input.raw
        request.output = output.raw
        request.errors = errors.raw
        if let owner {
            request.change_user = true
            request.user = owner.user
            request.group = owner.group
        }
        request.death_signal = deathSignal ?? 0
        request.new_session = true
        return withUnsafePointer(to: request, body)
    }

    /// The failed step of a start as the end of a sentence.
    func describe(step: Int32) -> String {
        switch UInt32(bitPattern: step) {
        case CLINUX_SPAWN_STREAMS.rawValue: "cannot set up its standard streams"
        case CLINUX_SPAWN_USER.rawValue: "cannot become the user \(owner?.name ?? "")"
        case CLINUX_SPAWN_DEATH_SIGNAL.rawValue: "cannot be tied to this process"
        case CLINUX_SPAWN_FOLDER.rawValue: "cannot enter the folder \(folder ?? "")"
        case CLINUX_SPAWN_PROGRAM.rawValue: "cannot be run"
        default: "cannot start a process"
        }
    }
}

extension ProgramInvocation.Stream {
    fileprivate var raw: Int32 {
        switch self {
        case .discard: -1
        case .descriptor(let descriptor): descriptor
        }
    }
}

/// Owns copies of strings in the form `execve` takes: an array of pointers that ends with a null.
private final class CStringArray {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[strings.count] = nil
    }

    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}
