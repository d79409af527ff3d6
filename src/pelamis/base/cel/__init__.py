"""CEL as Kubernetes has it, on Google's C++ runtime (``cel-expr-python``), which is imported at the first expression.

    program = compile_text("self.replicas <= 5", ("self",))
    program.evaluate({"self": {"replicas": 3}})  # True

``engine`` adapts the runtime; ``library`` has the functions that Kubernetes adds (quantities, addresses, URLs, regular
expressions, lists, versions, formats, the authorizer); ``literal`` rewrites the object literals of mutations.
"""

from pelamis.base.cel.engine import CompileError, EvaluationError, Program, compile_text

__all__ = ["CompileError", "EvaluationError", "Program", "compile_text"]
