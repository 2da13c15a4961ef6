"""How much the config may say. Boots from snapshots."""

from support import boot_contract_kernel


def test_values_may_be_in_quotes_and_lines_long(tmp_path):
    text = "x" * 5000
    config = (f'module = "/my file" "{text} "\nmodule = \\a "b  c"\n'
              f'cmdline = " a  b {text}"\nlog = "quiet"\n')
    output = boot_contract_kernel(tmp_path, "exec", config=config,
                                  files={"my file": b"\3", "a": b"\3"})
    assert output.texts["cmdline"] == [f" a  b {text}"]
    assert output.texts["module.path"] == ["/my file", "\\a"]
    assert output.texts["module.cmdline"] == [text + " ", "b  c"]


def test_two_hundred_modules_are_handed_over(tmp_path):
    config = "".join(f"module = /modules/{i:03d} number {i}\n" for i in range(200))
    files = {f"modules/{i:03d}": b"\3" for i in range(200)}
    output = boot_contract_kernel(tmp_path, "exec", config=config, files=files)
    assert output.texts["module.cmdline"] == [f"number {i}" for i in range(200)]
    assert output.facts["module.bytes"] == [1] * 200
