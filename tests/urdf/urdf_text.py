"""Small pieces of URDF text for tests."""


def vec(values) -> str:
    return " ".join(repr(float(v)) for v in values)


def inertial(mass=1.0, moments=(0.02, 0.03, 0.04), xyz=(0, 0, 0), rpy=(0, 0, 0)) -> str:
    xx, yy, zz = map(float, moments)
    return (
        f'<inertial><origin xyz="{vec(xyz)}" rpy="{vec(rpy)}"/><mass value="{float(mass)!r}"/>'
        f'<inertia ixx="{xx!r}" iyy="{yy!r}" izz="{zz!r}" ixy="0" ixz="0" iyz="0"/></inertial>'
    )


LIMIT = '<limit lower="-1" upper="2" velocity="3" effort="4"/>'


def joint(name, parent, child, kind="revolute", limit=LIMIT, extra="") -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{limit}{extra}</joint>'


def links(*names, **inertials) -> str:
    return "".join(f'<link name="{n}">{inertials.get(n, inertial())}</link>' for n in names)


def robot(*parts: str) -> str:
    return f'<robot name="r">{"".join(parts)}</robot>'
