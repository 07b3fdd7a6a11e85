"""The pair scorer's place in a model repository."""

import ast
import sys

from twinshelf.export.pair_scorer_repository import SOURCES, vendored_sources


def test_vendored_sources_need_nothing_but_each_other_and_numpy() -> None:
    names = vendored_sources()
    assert {"features.py", "records.py", "statistics.py", "pair_tokens.py"} <= set(names)
    for name in names:
        for node in ast.walk(ast.parse((SOURCES / name).read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1 and f"{node.module}.py" in names
            elif isinstance(node, ast.Import | ast.ImportFrom):
                modules = [getattr(node, "module", None) or alias.name for alias in node.names]
                roots = {module.split(".")[0] for module in modules}
                assert roots <= {*sys.stdlib_module_names, "numpy"}, name
