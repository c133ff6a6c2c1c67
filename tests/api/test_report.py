import limner


def make_tiny_run(folder):
    folder.mkdir()
    (folder / "metrics.csv").write_text("step,seconds,name,value\n1,0.5,train/loss,2.0\n")
    return folder


def test_report_takes_a_path_and_returns_the_page(tmp_path):
    run = make_tiny_run(tmp_path / "r")
    page = limner.report(str(run))
    assert page == run / "report.html"
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_command_line_names_the_page(tmp_path, command_line):
    run = make_tiny_run(tmp_path / "r [b]")
    done = command_line("report", run)
    assert done.returncode == 0 and str(run / "report.html") in done.stdout


def test_command_line_refuses_another_folder_without_a_traceback(tmp_path, command_line):
    done = command_line("report", tmp_path)
    assert done.returncode == 2
    assert "This is not a run folder" in done.stderr and "Traceback" not in done.stderr
