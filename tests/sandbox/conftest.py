from tests.support.sandbox_process import sandbox

__all__ = ["sandbox"]
